import Vocabulary

/// What was learnt about services on one link. It holds instances up to a bound, and of anything else only what belongs
/// to them.
struct RecordCache: Sendable {
    struct Key: Hashable, Comparable {
        var name: DomainName
        var type: UInt16

        static func < (left: Self, right: Self) -> Bool { (left.name, left.type) < (right.name, right.type) }
    }

    private struct Entry {
        var record: DNSRecord
        var received: Instant
        var expires: Instant
        /// When to ask for it once more; nil when that was done often enough.
        var refreshAt: Instant?
        var refreshes = 0
        /// Extra time before it is asked for, so that not all hosts do at once. **Units:** thousandths of its life.
        var jitter: Int
    }

    private var entries: [Key: [Entry]] = [:]
    /// The services, and the hosts they are on.
    private var listed: Set<DomainName> = []
    private var targets: Set<DomainName> = []
    private var hasChanged = false

    private static let services = Key(name: .service, type: DNSType.ptr)

    /// Whether what is known changed since the last call.
    mutating func takeChange() -> Bool {
        defer { hasChanged = false }
        return hasChanged
    }

    /// Takes a record in, when it tells of a service. `jitter` is from 0 to 20.
    mutating func note(_ record: DNSRecord, _ now: Instant, jitter: Int) {
        guard let limit = limit(of: record) else { return }
        let key = Key(name: record.name, type: record.data.type)
        var list = entries[key] ?? []
        if record.isUnique {
            // Records of the same message came together; older ones are replaced by this.
            for index in list.indices where !list[index].record.says(record) {
                guard now.since(list[index].received) > DiscoveryTimes.grace else { continue }
                list[index].expires = min(list[index].expires, now.advanced(by: DiscoveryTimes.grace))
            }
        }
        let place = list.firstIndex { $0.record.says(record) }
        let life = min(record.seconds, DiscoveryLimits.secondsKept)
        if life == 0 {
            if let place { list[place].expires = min(list[place].expires, now.advanced(by: DiscoveryTimes.grace)) }
        } else {
            var entry = Entry(
                record: record, received: now, expires: now.advanced(by: .seconds(Int64(life))), jitter: jitter)
            entry.record.seconds = life
            entry.refreshAt = Self.refreshTime(entry)
            if let place {
                list[place] = entry
            } else {
                if list.count >= limit {
                    // The latest word counts, but known services are not pushed out by a flood of others.
                    guard key != Self.services else { return }
                    list.removeFirst()
                }
                list.append(entry)
                hasChanged = true
                switch record.data {
                case .pointer(let instance): listed.insert(instance)
                case .service(_, _, _, let target): targets.insert(target)
                default: break
                }
            }
        }
        entries[key] = list.isEmpty ? nil : list
    }

    /// How many records of its name and type are kept; nil when it is of no use.
    private func limit(of record: DNSRecord) -> Int? {
        switch record.data {
        case .pointer(let target):
            record.name == .service && target.isInstance ? DiscoveryLimits.instances : nil
        case .service, .text: listed.contains(record.name) ? 1 : nil
        case .address(let address):
            address.isDialable && targets.contains(record.name) ? DiscoveryLimits.recordsPerName : nil
        default: nil
        }
    }

    /// The services on this link, by name.
    var instances: [DomainName] {
        (entries[Self.services] ?? []).compactMap { entry in
            if case .pointer(let name) = entry.record.data { name } else { nil }
        }.sorted()
    }

    private func service(of instance: DomainName) -> (port: UInt16, target: DomainName)? {
        guard case .service(_, _, let port, let target)? = data(instance, DNSType.srv).last else { return nil }
        return (port, target)
    }

    private func data(_ name: DomainName, _ type: UInt16) -> [DNSData] {
        (entries[Key(name: name, type: type)] ?? []).map(\.record.data)
    }

    private func addresses(of host: DomainName) -> [HostAddress] {
        (data(host, DNSType.a) + data(host, DNSType.aaaa)).compactMap { data in
            if case .address(let address) = data { address } else { nil }
        }.sorted()
    }

    /// What is not known of a service; nothing when all is.
    func missing(of instance: DomainName) -> [DNSQuestion] {
        var questions: [DNSQuestion] = []
        if data(instance, DNSType.txt).isEmpty { questions.append(DNSQuestion(instance, type: DNSType.txt)) }
        guard let target = service(of: instance)?.target else {
            return questions + [DNSQuestion(instance, type: DNSType.srv)]
        }
        if addresses(of: target).isEmpty {
            questions += [DNSType.a, DNSType.aaaa].map { DNSQuestion(target, type: $0) }
        }
        return questions
    }

    /// The nodes that are known completely, by the names of their services.
    var sightings: [Sighting] {
        instances.compactMap { instance in
            guard let (port, target) = service(of: instance),
                case .text(let texts)? = data(instance, DNSType.txt).last,
                let notice = ServiceNotice(texts: texts, port: port)
            else { return nil }
            let addresses = addresses(of: target)
            return addresses.isEmpty ? nil : Sighting(notice: notice, addresses: addresses)
        }
    }

    /// The services known well enough that nobody need answer with them.
    func knownServices(_ now: Instant) -> [DNSRecord] {
        (entries[Self.services] ?? []).compactMap { entry in
            let rest = max(0, entry.expires.since(now).components.seconds)
            guard rest > Int64(entry.record.seconds / 2) else { return nil }
            var record = entry.record
            (record.seconds, record.isUnique) = (UInt32(rest), false)
            return record
        }
    }

    // MARK: Time

    /// Records are asked for at 80, 85, 90 and 95 hundredths of their lives. **Source:** RFC 6762 §5.2.
    private static func refreshTime(_ entry: Entry) -> Instant? {
        guard entry.refreshes < 4 else { return nil }
        let thousandths = Int64(800 + 50 * entry.refreshes + entry.jitter)
        return entry.received.advanced(by: .milliseconds(Int64(entry.record.seconds) * thousandths))
    }

    /// Questions for records that end soon.
    mutating func refreshes(_ now: Instant) -> [DNSQuestion] {
        var questions: [DNSQuestion] = []
        for key in entries.keys.sorted() {
            for index in (entries[key] ?? []).indices {
                guard var entry = entries[key]?[index], let due = entry.refreshAt, due <= now else { continue }
                entry.refreshes += 1
                entry.refreshAt = Self.refreshTime(entry)
                entries[key]?[index] = entry
                let question = DNSQuestion(key.name, type: key.type)
                if questions.last != question { questions.append(question) }
            }
        }
        return questions
    }

    /// Forgets what has ended, and what belongs to no service any more.
    mutating func expire(_ now: Instant) {
        var hasEnded = false
        for (key, list) in entries where list.contains(where: { $0.expires <= now }) {
            let rest = list.filter { $0.expires > now }
            entries[key] = rest.isEmpty ? nil : rest
            hasEnded = true
        }
        guard hasEnded || hasChanged else { return }
        hasChanged = true
        let instances = instances
        listed = Set(instances)
        targets = Set(instances.compactMap { service(of: $0)?.target })
        entries = entries.filter { key, _ in
            key == Self.services || listed.contains(key.name) || targets.contains(key.name)
        }
    }

    var nextTime: Instant? {
        var next: Instant?
        for list in entries.values {
            for entry in list {
                let due = min(entry.expires, entry.refreshAt ?? entry.expires)
                next = min(due, next ?? due)
            }
        }
        return next
    }

    /// Records held.
    var count: Int { entries.values.reduce(0) { $0 + $1.count } }
}
