import Vocabulary

/// A service of which something is not known yet.
struct Resolution: Hashable, Sendable {
    var tries = 0
    /// When to ask; nil when that was done often enough.
    var due: Instant?
}

/// **Source:** RFC 6762 §5, §10; RFC 6763 §4.
extension LinkBrain {
    /// Begins to ask anew, because the link is new.
    mutating func askSoon(_ now: Instant) {
        questionInterval = DiscoveryTimes.questionInterval
        nextQuestion = now.advanced(by: DiscoveryTimes.answerDelay + chance(DiscoveryTimes.answerSpread))
    }

    /// Takes in what an answer tells of services: first which there are, then where, then the addresses.
    mutating func learn(_ message: DNSMessage, _ now: Instant) {
        let records = message.answers + message.additionals
        let kinds: [[UInt16]] = [[DNSType.ptr], [DNSType.srv, DNSType.txt], [DNSType.a, DNSType.aaaa]]
        for kind in kinds {
            for record in records where kind.contains(record.data.type) {
                cache.note(record, now, jitter: random.below(21))
                if case .pointer(let instance) = record.data, let known = resolutions[instance], known.due == nil {
                    resolutions[instance] = Resolution(due: now.advanced(by: DiscoveryTimes.resolutionDelay))
                }
            }
        }
    }

    /// Follows a change of what is known: what is missing is asked for.
    mutating func resolve(_ now: Instant) {
        var open: [DomainName: Resolution] = [:]
        for instance in cache.instances where !cache.missing(of: instance).isEmpty {
            open[instance] =
                resolutions[instance] ?? Resolution(due: now.advanced(by: DiscoveryTimes.resolutionDelay))
        }
        resolutions = open
    }

    /// Sends the questions whose time has come.
    mutating func ask(_ now: Instant, _ effects: inout Effects) {
        var questions: [DNSQuestion] = []
        if let due = nextQuestion, due <= now {
            questions.append(DNSQuestion(.service, type: DNSType.ptr))
            nextQuestion = now.advanced(by: questionInterval)
            questionInterval = min(questionInterval * 2, DiscoveryTimes.questionMost)
        }
        questions += cache.refreshes(now)
        for instance in resolutions.keys.sorted() {
            guard var resolution = resolutions[instance], let due = resolution.due, due <= now else { continue }
            questions += cache.missing(of: instance)
            resolution.tries += 1
            resolution.due =
                resolution.tries < DiscoveryLimits.resolutions
                ? now.advanced(by: DiscoveryTimes.questionInterval * (1 << resolution.tries)) : nil
            resolutions[instance] = resolution
        }
        guard !questions.isEmpty else { return }
        let known = questions.contains { $0.name == .service } ? cache.knownServices(now) : []
        effects.send += Self.messages(asking: questions, known: known).map { Datagram($0) }
    }

    /// The questions, and after them what is known already, in as many messages as that takes. **Source:** §7.2.
    static func messages(asking questions: [DNSQuestion], known: [DNSRecord]) -> [DNSMessage] {
        var messages: [DNSMessage] = []
        var message = DNSMessage()
        func isFull(_ message: DNSMessage) -> Bool { message.bytes.count > DiscoveryLimits.sentBytes }
        for question in questions where !message.questions.contains(question) {
            message.questions.append(question)
            if isFull(message), message.questions.count > 1 {
                message.questions.removeLast()
                messages.append(message)
                message = DNSMessage()
                message.questions = [question]
            }
        }
        for record in known {
            message.answers.append(record)
            if isFull(message), message.answers.count > 1 || !message.questions.isEmpty {
                message.answers.removeLast()
                message.isTruncated = true
                messages.append(message)
                message = DNSMessage()
                message.answers = [record]
            }
        }
        return messages + [message]
    }
}
