/// Bounds of discovery: of what is read from a network where anybody may send anything, and of how often is sent.
package enum DiscoveryLimits {
    /// Largest datagram that is read. **Units:** bytes. **Source:** RFC 6762 §17.
    package static let datagramBytes = 9000
    /// Largest datagram that is sent, so that none is cut into fragments. **Units:** bytes.
    package static let sentBytes = 1400
    /// Questions in one message.
    package static let questions = 128
    /// Records in one message.
    package static let records = 512
    /// Pointers followed while one name is read.
    package static let pointers = 32
    /// Longest label of a name. **Units:** bytes. **Source:** RFC 1035 §2.3.4.
    package static let labelBytes = 63
    /// Longest name with its length bytes. **Units:** bytes. **Source:** RFC 1035 §2.3.4.
    package static let nameBytes = 255
    /// Texts in one TXT record.
    package static let texts = 64

    /// Services known on one link; more are not taken up.
    package static let instances = 256
    /// Addresses kept, and announced, of one host.
    package static let addresses = 8
    /// Records of one name and type that are kept.
    package static let recordsPerName = 8
    /// Longest time a record is believed. **Units:** seconds.
    package static let secondsKept: UInt32 = 4500
    /// Answers that wait for the rest of a long list of known ones.
    package static let heldAnswers = 16
    /// Tries to learn what belongs to a service that was seen, until it is seen again.
    package static let resolutions = 4
    /// Times a name is changed before the first form of it is tried again.
    package static let renamings = 1000
}

/// How long things take. **Source:** RFC 6762, the section beside each.
enum DiscoveryTimes {
    /// §8.1: most time before the first probe.
    static let probeDelay = Duration.milliseconds(250)
    /// §8.1: time between probes, and from the last to the announcement.
    static let probeInterval = Duration.milliseconds(250)
    /// §8.1: probes that nobody may object to.
    static let probes = 3
    /// §8.2: how long the side that loses a tie waits.
    static let deferral = Duration.seconds(1)
    /// §8.1: conflicts within `conflictWindow` after which each further try waits `conflictPause`.
    static let conflicts = 15
    /// As `conflicts`.
    static let conflictWindow = Duration.seconds(10)
    /// As `conflicts`.
    static let conflictPause = Duration.seconds(5)
    /// §8.3: announcements, each after twice the time of the one before.
    static let announcements = 3
    /// §8.3: time between the first two.
    static let announcementInterval = Duration.seconds(1)
    /// §6: an answer others may have, too, waits this long at least …
    static let answerDelay = Duration.milliseconds(20)
    /// … and up to this much longer.
    static let answerSpread = Duration.milliseconds(100)
    /// §7.2: as `answerDelay`, when the question goes on in another message.
    static let heldDelay = Duration.milliseconds(400)
    /// §6: how often a record is sent to all.
    static let recordInterval = Duration.seconds(1)
    /// §6: as `recordInterval`, when a name must be defended.
    static let defenceInterval = Duration.milliseconds(250)
    /// §5.2: time between the first two questions; doubles up to `questionMost`.
    static let questionInterval = Duration.seconds(1)
    /// §5.2: longest time between questions.
    static let questionMost = Duration.seconds(3600)
    /// §10.1, §10.2: what was taken back is believed this much longer.
    static let grace = Duration.seconds(1)
    /// Time for the parts of a service to come by themselves before they are asked for.
    static let resolutionDelay = Duration.milliseconds(300)
    /// §10: lives of records that name a host and its addresses. **Units:** seconds.
    static let hostSeconds: UInt32 = 120
    /// §10: lives of all other records. **Units:** seconds.
    static let otherSeconds: UInt32 = 4500
    /// §6.7: longest life told to a resolver that does not know of multicast. **Units:** seconds.
    static let plainSeconds: UInt32 = 10
}
