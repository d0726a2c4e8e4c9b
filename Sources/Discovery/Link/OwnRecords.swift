import Vocabulary

/// The records of this node on one link.
struct OwnRecords: Hashable, Sendable {
    let notice: ServiceNotice
    let instance: DomainName
    let host: DomainName
    /// Records others may have, too.
    let shared: [DNSRecord]
    /// Records nobody else has.
    let unique: [DNSRecord]

    init(_ notice: ServiceNotice, _ addresses: [HostAddress], instanceNumber: Int, hostNumber: Int) {
        self.notice = notice
        let suffix = instanceNumber > 1 ? " (\(instanceNumber))" : ""
        let label = String(
            decoding: DomainName.cut(notice.name, to: DiscoveryLimits.labelBytes - suffix.utf8.count), as: UTF8.self)
        instance = .instance(label + suffix)
        // Not the machine's own name, which is for its system to announce.
        let host = DomainName.host(
            "skein-" + Hexadecimal.text(of: notice.node) + (hostNumber > 1 ? "-\(hostNumber)" : ""))
        self.host = host
        let (brief, long) = (DiscoveryTimes.hostSeconds, DiscoveryTimes.otherSeconds)
        shared = [
            DNSRecord(.service, .pointer(instance), seconds: long, isUnique: false),
            DNSRecord(.allServices, .pointer(.service), seconds: long, isUnique: false),
        ]
        unique =
            [
                DNSRecord(
                    instance, .service(priority: 0, weight: 0, port: notice.port, target: host), seconds: brief,
                    isUnique: true),
                DNSRecord(instance, .text(notice.texts), seconds: long, isUnique: true),
            ] + addresses.map { DNSRecord(host, .address($0), seconds: brief, isUnique: true) }
    }

    var all: [DNSRecord] { shared + unique }

    /// What answers a question: records, or that there are none of that type.
    func answers(to question: DNSQuestion) -> [DNSRecord] {
        let found = all.filter { question.isAnswered(by: $0) }
        return found.isEmpty ? absence(of: question.name).map { [$0] } ?? [] : found
    }

    /// That a name of this node has no other types of records than those it has. **Source:** RFC 6762 §6.1.
    func absence(of name: DomainName) -> DNSRecord? {
        let records = unique.filter { $0.name == name }
        guard !records.isEmpty else { return nil }
        let life = records.map(\.seconds).min() ?? DiscoveryTimes.hostSeconds
        return DNSRecord(
            name, .only(next: name, types: Set(records.map(\.data.type)).sorted()), seconds: life, isUnique: true)
    }

    /// What whoever got these answers asks next. **Source:** RFC 6763 §12.
    func additions(to answers: [DNSRecord]) -> [DNSRecord] {
        var names: [DomainName] = []
        for answer in answers {
            switch answer.data {
            case .pointer(instance): names += [instance, host]
            case .service: names.append(host)
            default: break
            }
        }
        return unique.filter { record in names.contains(record.name) && !answers.contains { $0.says(record) } }
    }

    /// Whether a record under one of these names tells of this very node, heard back by another way.
    func includes(_ record: DNSRecord, machine: Set<HostAddress>) -> Bool {
        switch record.data {
        case .service(_, _, let port, let target): return target == host && port == notice.port
        case .text(let texts):
            let told = ServiceNotice(texts: texts, port: notice.port)
            return told?.node == notice.node && told?.cluster == notice.cluster
        case .address(let address):
            return machine.contains(address) || unique.contains { $0.says(record) }
        default: return true
        }
    }
}
