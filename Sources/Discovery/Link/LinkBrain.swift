package import Vocabulary

/// Discovery on one link: claims names there and announces the node, answers questions, and finds the others.
///
/// The same inputs at the same times give the same effects. **Source:** RFC 6762, RFC 6763.
package struct LinkBrain: Sendable {
    var random: SeededRandom
    /// What is told; nil listens only.
    var notice: ServiceNotice?
    /// Addresses of this machine that are told on this link.
    var addresses: [HostAddress] = []
    /// All addresses of this machine: who has one of them is this machine itself.
    var machine: Set<HostAddress> = []
    var hasLeft = false

    // What is claimed: LinkBrain+Claiming
    var own: OwnRecords?
    var claim: Claim?
    var conflicts: [Instant] = []
    var instanceNumber = 1
    var hostNumber = 1

    // What is answered: LinkBrain+Answering
    var waiting: WaitingAnswer?
    var held: [HeldAnswer] = []
    var lastSent: [DNSRecord: Instant] = [:]

    // What is looked for: LinkBrain+Browsing
    var cache = RecordCache()
    var nextQuestion: Instant?
    var questionInterval = DiscoveryTimes.questionInterval
    var resolutions: [DomainName: Resolution] = [:]

    /// The nodes seen on this link, by name; this node itself is among them.
    package private(set) var sightings: [Sighting] = []

    /// Starts with nothing known; the first input may be any.
    package init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// Takes one input and tells what has to be done.
    package mutating func handle(_ input: Input, now: Instant) -> Effects {
        var effects = Effects()
        switch input {
        case .tick: break
        case .received(let bytes, let source): receive(bytes, from: source, now, &effects)
        case .network(let addresses, let machine):
            (self.addresses, self.machine) = (Array(addresses.prefix(DiscoveryLimits.addresses)), machine)
            askSoon(now)
            reclaim(now, &effects)
        case .notice(let notice):
            self.notice = notice
            reclaim(now, &effects)
        case .leave:
            hasLeft = true
            withdraw(&effects)
        }
        guard !hasLeft else { return effects }
        continueClaim(now, &effects)
        sendAnswers(now, &effects)
        cache.expire(now)
        if cache.takeChange() {
            resolve(now)
            let seen = cache.sightings
            effects.hasNews = seen != sightings
            sightings = seen
        }
        ask(now, &effects)
        effects.wakeAt = nextTime
        return effects
    }

    private mutating func receive(
        _ bytes: [UInt8], from source: DatagramSource, _ now: Instant, _ effects: inout Effects
    ) {
        let message: DNSMessage
        do throws(DNSError) {
            message = try DNSMessage(bytes: bytes)
        } catch {
            effects.malformed = error
            return
        }
        guard message.isOrdinary else { return }
        if message.isResponse {
            // An answer from another port is none of multicast DNS. RFC 6762 §6
            guard source.isMulticastPort else { return }
            judge(message, now, &effects)
            learn(message, now)
        } else {
            contend(message, now)
            answer(message, to: source, now, &effects)
        }
    }

    private var nextTime: Instant? {
        let times =
            [claim?.due, waiting?.due, nextQuestion, cache.nextTime]
            + held.map(\.due) + resolutions.values.map(\.due)
        return times.compactMap { $0 }.min()
    }

    /// A time chosen by chance.
    mutating func chance(_ most: Duration) -> Duration {
        .nanoseconds(Int64(random.below(Int(max(1, most.inNanoseconds)))))
    }
}

extension LinkBrain {
    /// What can happen to it.
    package enum Input: Sendable {
        /// The time it asked to be woken at.
        case tick
        /// A datagram came to the group on this link.
        case received([UInt8], from: DatagramSource)
        /// The addresses to be told on this link, and all of this machine; also the sign that the link is new.
        case network([HostAddress], machine: Set<HostAddress>)
        /// What to tell from now on; nil takes back what was told.
        case notice(ServiceNotice?)
        /// The process ends: what was told is taken back, and nothing more is done.
        case leave
    }

    /// What has to be done, in this order.
    package struct Effects: Sendable {
        /// Datagrams to send.
        package var send: [Datagram] = []
        /// Whether `sightings` changed.
        package var hasNews = false
        /// Why a datagram was dropped.
        package var malformed: DNSError?
        /// The name this node goes by after another host had the one before.
        package var renamed: String?
        /// When to come back with a tick, if nothing happens before.
        package var wakeAt: Instant?

        /// Nothing.
        package init() {}
    }
}

/// Where a datagram came from.
package struct DatagramSource: Hashable, Sendable {
    /// The host.
    package let address: HostAddress
    /// Its port.
    package let port: UInt16

    /// Puts the two together.
    package init(address: HostAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Port of multicast DNS.
    package static let multicastPort: UInt16 = 5353

    /// Whether it speaks multicast DNS; a plain resolver asks from any other port.
    var isMulticastPort: Bool { port == Self.multicastPort }
}

/// A datagram to be sent.
package struct Datagram: Hashable, Sendable {
    /// Its content.
    package let bytes: [UInt8]
    /// The one host it goes to; nil is all on the link.
    package let to: DatagramSource?

    init(_ message: DNSMessage, to: DatagramSource? = nil) {
        bytes = message.bytes
        self.to = to
    }
}
