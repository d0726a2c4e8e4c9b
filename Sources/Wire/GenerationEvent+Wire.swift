import Vocabulary

/// Numbers of the events on the wire.
package enum EventCode: UInt8, CaseIterable {
    case queued = 1
    case started = 2
    case output = 3
    case finished = 4
    case failed = 5
}

/// Which parts an `output` event carries.
struct OutputParts: OptionSet {
    let rawValue: UInt8
    static let text = OutputParts(rawValue: 1)
    static let reasoning = OutputParts(rawValue: 2)
    static let toolCalls = OutputParts(rawValue: 4)
    static let logprobs = OutputParts(rawValue: 8)
    static let journal = OutputParts(rawValue: 16)
    static let vector = OutputParts(rawValue: 32)
    static let tokens = OutputParts(rawValue: 64)
    static let all: OutputParts = [.text, .reasoning, .toolCalls, .logprobs, .journal, .vector, .tokens]
}

/// Which parts a tool call's part carries.
struct ToolCallParts: OptionSet {
    let rawValue: UInt8
    static let id = ToolCallParts(rawValue: 1)
    static let name = ToolCallParts(rawValue: 2)
    static let all: ToolCallParts = [.id, .name]
}

extension FrameWriter {
    /// An event behind its request id.
    mutating func put(_ event: GenerationEvent) throws(WireError) {
        switch event {
        case .preparing(let text):
            throw .cannotEncode(
                field: "event.preparing", value: text.utf8.count, allowed: "nothing; only nodes say it")
        case .queued(let position, let predictedWaitSeconds):
            try putHead(.queued, flags: predictedWaitSeconds == nil ? 0 : 1)
            try put32(position, "event.queued.position")
            if let predictedWaitSeconds { try put(predictedWaitSeconds) }
        case .started(let promptTokens, let cachedTokens):
            try putHead(.started)
            try put32(promptTokens, "event.started.promptTokens")
            try put32(cachedTokens, "event.started.cachedTokens")
        case .output(let delta): try put(delta)
        case .finished(let completion): try put(completion)
        case .failed(let error):
            try putHead(.failed)
            try put(error)
        }
    }

    private mutating func putHead(_ code: EventCode, flags: UInt8 = 0, choice: Int = 0) throws(WireError) {
        try put(code.rawValue)
        try put(flags)
        try put16(choice, "event.choice", limit: Limits.choices)
    }

    private mutating func put(_ delta: OutputDelta) throws(WireError) {
        var parts: OutputParts = []
        if !delta.text.isEmpty { parts.insert(.text) }
        if !delta.reasoning.isEmpty { parts.insert(.reasoning) }
        if !delta.toolCalls.isEmpty { parts.insert(.toolCalls) }
        if !delta.logprobs.isEmpty { parts.insert(.logprobs) }
        if !delta.journal.isEmpty { parts.insert(.journal) }
        if !delta.vector.isEmpty { parts.insert(.vector) }
        if !delta.tokens.isEmpty { parts.insert(.tokens) }
        try putHead(.output, flags: parts.rawValue, choice: delta.choice)
        if parts.contains(.text) { try putLongText(delta.text, "event.text") }
        if parts.contains(.reasoning) { try putLongText(delta.reasoning, "event.reasoning") }
        if parts.contains(.toolCalls) {
            try put32(delta.toolCalls.count, "event.toolCalls", limit: Limits.eventParts)
            for call in delta.toolCalls {
                try put(call)
            }
        }
        if parts.contains(.logprobs) {
            try put32(delta.logprobs.count, "event.logprobs", limit: Limits.eventParts)
            for logprob in delta.logprobs {
                try put(logprob)
            }
        }
        if parts.contains(.journal) {
            try put32(delta.journal.count, "event.journal", limit: Limits.eventParts)
            for token in delta.journal { try put(UInt32(bitPattern: token)) }
        }
        if parts.contains(.vector) { try putVector(delta.vector, "event.vector") }
        if parts.contains(.tokens) { try put(delta.tokens) }
    }

    private mutating func put(_ tokens: [TokenText]) throws(WireError) {
        try put32(tokens.count, "event.tokens", limit: Limits.eventTokens)
        for entry in tokens {
            try put(UInt32(bitPattern: entry.token))
            try put16(entry.bytes.count, "event.token.bytes", limit: Limits.tokenBytes)
            try putBytes(unsafe entry.bytes.span.bytes)
        }
    }

    private mutating func put(_ call: ToolCallDelta) throws(WireError) {
        var parts: ToolCallParts = []
        if call.id != nil { parts.insert(.id) }
        if call.name != nil { parts.insert(.name) }
        try put32(call.index, "event.toolCall.index")
        try put(UInt32(parts.rawValue))
        if let id = call.id { try putLongText(id, "event.toolCall.id") }
        if let name = call.name { try putLongText(name, "event.toolCall.name") }
        try putLongText(call.arguments, "event.toolCall.arguments")
    }

    private mutating func put(_ completion: Completion) throws(WireError) {
        try putHead(.finished)
        try put16(completion.finishReasons.count, "event.finishReasons", limit: Limits.choices)
        try put16(completion.stopTexts.count, "event.stopTexts", limit: Limits.choices)
        for reason in completion.finishReasons {
            try put(reason.code)
        }
        for text in completion.stopTexts {
            try put(text == nil ? 0 : 1 as UInt8)
            if let text { try putLongText(text, "event.stopText") }
        }
        try put32(completion.usage.promptTokens, "event.usage.promptTokens")
        try put32(completion.usage.cachedTokens, "event.usage.cachedTokens")
        try put32(completion.usage.outputTokens, "event.usage.outputTokens")
        try put32(completion.usage.reasoningTokens, "event.usage.reasoningTokens")
        try put(completion.timings.queueSeconds)
        try put(completion.timings.prefillSeconds)
        try put(completion.timings.decodeSeconds)
    }

    /// u32 number of bytes and the bytes.
    mutating func putLongText(_ text: String, _ field: String) throws(WireError) {
        try put32(text.utf8.count, field)
        try putText(text)
    }
}

extension FinishReason {
    /// Number of the reason on the wire.
    fileprivate var code: UInt8 {
        switch self {
        case .stop: 1
        case .length: 2
        case .toolCalls: 3
        }
    }

    fileprivate init?(code: UInt8) {
        switch code {
        case 1: self = .stop
        case 2: self = .length
        case 3: self = .toolCalls
        default: return nil
        }
    }
}

extension ByteReader {
    /// An event behind its request id.
    mutating func event(_ bytes: RawSpan) throws(WireError) -> GenerationEvent {
        let rawCode = try u8(bytes, "event.code")
        guard let code = EventCode(rawValue: rawCode) else {
            throw .invalidValue(field: "event.code", offset: offset - 1, value: Int(rawCode), allowed: "1 … 5")
        }
        let flags = try u8(bytes, "event.flags")
        let allowed: UInt8 =
            switch code {
            case .queued: 1
            case .output: OutputParts.all.rawValue
            case .started, .finished, .failed: 0
            }
        guard flags & ~allowed == 0 else {
            throw .invalidValue(field: "event.flags", offset: offset - 1, value: Int(flags), allowed: "0 … \(allowed)")
        }
        let choice = try shortCount(bytes, "event.choice", limit: code == .output ? Limits.choices : 0)
        switch code {
        case .queued:
            let position = Int(try u32(bytes, "event.queued.position"))
            return .queued(
                position: position,
                predictedWaitSeconds: flags == 0 ? nil : try f64(bytes, "event.queued.predictedWaitSeconds"))
        case .started:
            let promptTokens = Int(try u32(bytes, "event.started.promptTokens"))
            return .started(
                promptTokens: promptTokens, cachedTokens: Int(try u32(bytes, "event.started.cachedTokens")))
        case .output: return .output(try outputDelta(bytes, parts: OutputParts(rawValue: flags), choice: choice))
        case .finished: return .finished(try completion(bytes))
        case .failed: return .failed(try generationError(bytes))
        }
    }

    private mutating func outputDelta(
        _ bytes: RawSpan, parts: OutputParts, choice: Int
    ) throws(WireError) -> OutputDelta {
        var delta = OutputDelta(choice: choice)
        if parts.contains(.text) { delta.text = try longText(bytes, "event.text") }
        if parts.contains(.reasoning) { delta.reasoning = try longText(bytes, "event.reasoning") }
        if parts.contains(.toolCalls) {
            let count = try count(bytes, "event.toolCalls", limit: Limits.eventParts)
            try require(12 * count, "event.toolCalls")
            for _ in 0..<count {
                delta.toolCalls.append(try toolCall(bytes))
            }
        }
        if parts.contains(.logprobs) {
            let count = try count(bytes, "event.logprobs", limit: Limits.eventParts)
            try require((2 + ResultLayout.candidateByteCount) * count, "event.logprobs")
            for _ in 0..<count {
                delta.logprobs.append(try logprob(bytes))
            }
        }
        if parts.contains(.journal) {
            let count = try count(bytes, "event.journal", limit: Limits.eventParts)
            try require(4 * count, "event.journal")
            for _ in 0..<count { delta.journal.append(Token(bitPattern: try u32(bytes, "event.journal.token"))) }
        }
        if parts.contains(.vector) { delta.vector = try vector(bytes, "event.vector") }
        if parts.contains(.tokens) { delta.tokens = try tokenTexts(bytes) }
        return delta
    }

    private mutating func tokenTexts(_ bytes: RawSpan) throws(WireError) -> [TokenText] {
        let count = try count(bytes, "event.tokens", limit: Limits.eventTokens)
        try require(6 * count, "event.tokens")
        var tokens: [TokenText] = []
        tokens.reserveCapacity(count)
        for _ in 0..<count {
            let token = Token(bitPattern: try u32(bytes, "event.token"))
            let length = try shortCount(bytes, "event.token.bytes", limit: Limits.tokenBytes)
            tokens.append(TokenText(token: token, bytes: try self.bytes(bytes, count: length, "event.token.bytes")))
        }
        return tokens
    }

    private mutating func toolCall(_ bytes: RawSpan) throws(WireError) -> ToolCallDelta {
        let index = Int(try u32(bytes, "event.toolCall.index"))
        let rawParts = try u32(bytes, "event.toolCall.parts")
        guard rawParts <= UInt32(ToolCallParts.all.rawValue) else {
            throw .invalidValue(
                field: "event.toolCall.parts", offset: offset - 4, value: Int(rawParts), allowed: "0 … 3")
        }
        let parts = ToolCallParts(rawValue: UInt8(truncatingIfNeeded: rawParts))
        let id = parts.contains(.id) ? try longText(bytes, "event.toolCall.id") : nil
        let name = parts.contains(.name) ? try longText(bytes, "event.toolCall.name") : nil
        return ToolCallDelta(
            index: index, id: id, name: name, arguments: try longText(bytes, "event.toolCall.arguments"))
    }

    private mutating func completion(_ bytes: RawSpan) throws(WireError) -> Completion {
        let reasonCount = try shortCount(bytes, "event.finishReasons", limit: Limits.choices)
        let stopCount = try shortCount(bytes, "event.stopTexts", limit: Limits.choices)
        var reasons: [FinishReason] = []
        for _ in 0..<reasonCount {
            let code = try u8(bytes, "event.finishReason")
            guard let reason = FinishReason(code: code) else {
                throw .invalidValue(field: "event.finishReason", offset: offset - 1, value: Int(code), allowed: "1 … 3")
            }
            reasons.append(reason)
        }
        var stopTexts: [String?] = []
        for _ in 0..<stopCount {
            stopTexts.append(try flag(bytes, "event.stopText") ? try longText(bytes, "event.stopText") : nil)
        }
        var usage = Usage(promptTokens: Int(try u32(bytes, "event.usage.promptTokens")), outputTokens: 0)
        usage.cachedTokens = Int(try u32(bytes, "event.usage.cachedTokens"))
        usage.outputTokens = Int(try u32(bytes, "event.usage.outputTokens"))
        usage.reasoningTokens = Int(try u32(bytes, "event.usage.reasoningTokens"))
        let queue = try f64(bytes, "event.timings.queueSeconds")
        let prefill = try f64(bytes, "event.timings.prefillSeconds")
        let decode = try f64(bytes, "event.timings.decodeSeconds")
        return Completion(
            finishReasons: reasons, stopTexts: stopTexts, usage: usage,
            timings: Timings(queueSeconds: queue, prefillSeconds: prefill, decodeSeconds: decode))
    }

    /// u32 number of bytes and the bytes.
    mutating func longText(_ bytes: RawSpan, _ field: String) throws(WireError) -> String {
        let count = Int(try u32(bytes, field))
        return try text(bytes, count: count, field)
    }
}
