import Vocabulary

/// Numbers of the errors on the wire.
package enum ErrorCode: UInt8, CaseIterable {
    case invalidField = 1
    case unsupported = 2
    case contextLengthExceeded = 3
    case modelNotFound = 4
    case modelNotReady = 5
    case overloaded = 6
    case stageLost = 7
    case deadlineExceeded = 8
    case cancelled = 9
    case engineFailed = 10
    case modelAmbiguous = 11
}

extension FrameWriter {
    /// An error of a `failed` event: u8 code and the case's values in order.
    mutating func put(_ error: GenerationError) throws(WireError) {
        switch error {
        case .invalidField(let name, let value, let limit):
            try putCode(.invalidField, texts: [name, value, limit])
        case .unsupported(let feature, let remedy):
            try putCode(.unsupported, texts: [feature, remedy])
        case .contextLengthExceeded(let promptTokens, let outputTokens, let window):
            try putCode(.contextLengthExceeded, numbers: [promptTokens, outputTokens, window])
        case .modelNotFound(let name, let available):
            try putCode(.modelNotFound, texts: [name])
            try putModels(available)
        case .modelAmbiguous(let name, let candidates):
            try putCode(.modelAmbiguous, texts: [name])
            try putModels(candidates)
        case .modelNotReady(let name, let reason, let retryAfterSeconds):
            try putCode(.modelNotReady, texts: [name, reason], numbers: [retryAfterSeconds])
        case .overloaded(let queued, let limit, let retryAfterSeconds):
            try putCode(.overloaded, numbers: [queued, limit, retryAfterSeconds])
        case .stageLost(let stage, let reason):
            try putCode(.stageLost, texts: [reason], numbers: [stage])
        case .deadlineExceeded(let seconds):
            try putCode(.deadlineExceeded)
            try put(seconds)
        case .cancelled:
            try putCode(.cancelled)
        case .clientTooSlow(let limit):
            throw .cannotEncode(field: "error.clientTooSlow", value: limit, allowed: "nothing; only nodes say it")
        case .engineFailed(let reason):
            try putCode(.engineFailed, texts: [reason])
        }
    }

    private mutating func putCode(_ code: ErrorCode, texts: [String] = [], numbers: [Int] = []) throws(WireError) {
        try put(code.rawValue)
        for text in texts {
            try putErrorText(text)
        }
        for number in numbers {
            try put(Int64(number))
        }
    }

    private mutating func putModels(_ models: [String]) throws(WireError) {
        let listed = models.prefix(Limits.listedModels)
        try put16(listed.count, "error.available")
        for model in listed {
            try putErrorText(model)
        }
    }

    private mutating func putErrorText(_ text: String) throws(WireError) {
        try putLongText(text.cut(utf8Count: Limits.errorTextBytes), "error.text")
    }
}

extension ByteReader {
    /// An error of a `failed` event.
    mutating func generationError(_ bytes: RawSpan) throws(WireError) -> GenerationError {
        let rawCode = try u8(bytes, "error.code")
        guard let code = ErrorCode(rawValue: rawCode) else {
            throw .invalidValue(field: "error.code", offset: offset - 1, value: Int(rawCode), allowed: "1 … 11")
        }
        switch code {
        case .invalidField:
            return .invalidField(name: try errorText(bytes), value: try errorText(bytes), limit: try errorText(bytes))
        case .unsupported:
            return .unsupported(feature: try errorText(bytes), remedy: try errorText(bytes))
        case .contextLengthExceeded:
            return .contextLengthExceeded(
                promptTokens: try number(bytes), outputTokens: try number(bytes), window: try number(bytes))
        case .modelNotFound:
            let name = try errorText(bytes)
            return .modelNotFound(name: name, available: try models(bytes))
        case .modelAmbiguous:
            let name = try errorText(bytes)
            return .modelAmbiguous(name: name, candidates: try models(bytes))
        case .modelNotReady:
            return .modelNotReady(
                name: try errorText(bytes), reason: try errorText(bytes), retryAfterSeconds: try number(bytes))
        case .overloaded:
            return .overloaded(
                queued: try number(bytes), limit: try number(bytes), retryAfterSeconds: try number(bytes))
        case .stageLost:
            let reason = try errorText(bytes)
            return .stageLost(stage: try number(bytes), reason: reason)
        case .deadlineExceeded: return .deadlineExceeded(seconds: try f64(bytes, "error.seconds"))
        case .cancelled: return .cancelled
        case .engineFailed: return .engineFailed(reason: try errorText(bytes))
        }
    }

    private mutating func models(_ bytes: RawSpan) throws(WireError) -> [String] {
        let count = try shortCount(bytes, "error.available", limit: Limits.listedModels)
        var models: [String] = []
        for _ in 0..<count {
            models.append(try errorText(bytes))
        }
        return models
    }

    private mutating func errorText(_ bytes: RawSpan) throws(WireError) -> String {
        let count = try count(bytes, "error.text", limit: Limits.errorTextBytes)
        return try text(bytes, count: count, "error.text")
    }

    private mutating func number(_ bytes: RawSpan) throws(WireError) -> Int {
        Int(try i64(bytes, "error.number"))
    }
}
