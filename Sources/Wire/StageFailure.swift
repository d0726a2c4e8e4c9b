/// Why a stage could not do a step; it travels to the entry stage, which decides what becomes of the requests.
package struct StageFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The class of a failure.
    package enum Cause: Hashable, Sendable {
        /// The KV cache has no room for the microbatch; nothing changed.
        case outOfCells(rows: Int, cellCount: Int)
        /// A row or operation is outside the stage's shape.
        case invalidRow(field: String, value: Int, limit: Int)
        /// The step was cancelled.
        case cancelled
        /// The engine failed.
        case engine(operation: String, code: Int, reason: String)
        /// The peer sent something that is no valid frame.
        case protocolViolation(reason: String)
        /// A stage further on is gone.
        case stageLost(reason: String)
        /// The stage drains and takes no more steps.
        case draining
    }

    /// Index of the stage that failed.
    package var stage: Int
    /// What went wrong.
    package var cause: Cause

    /// Makes a failure.
    package init(stage: Int, cause: Cause) {
        self.stage = stage
        self.cause = cause
    }

    /// One sentence with the numbers.
    package var description: String {
        switch cause {
        case .outOfCells(let rows, let cellCount):
            "Stage \(stage): the KV cache of \(cellCount) cells has no room for \(rows) more rows."
        case .invalidRow(let field, let value, let limit):
            "Stage \(stage): \(field) is \(value), outside the stage's limit \(limit)."
        case .cancelled:
            "Stage \(stage): the step was cancelled."
        case .engine(let operation, let code, let reason):
            "Stage \(stage): \(operation) failed with code \(code): \(reason)."
        case .protocolViolation(let reason):
            "Stage \(stage): the peer broke the protocol: \(reason)"
        case .stageLost(let reason):
            "Stage \(stage) is lost: \(reason)."
        case .draining:
            "Stage \(stage) drains and takes no more steps."
        }
    }
}

/// Numbers of the failure causes on the wire.
package enum FailureCode: UInt8, CaseIterable {
    case outOfCells = 1
    case invalidRow = 2
    case cancelled = 3
    case engine = 4
    case protocolViolation = 5
    case stageLost = 6
    case draining = 7
}

extension FrameWriter {
    /// Appends the failure of step `step`; texts beyond `Limits.reasonBytes` are cut, so a failure can always be told.
    ///
    /// **Throws:** `cannotEncode` for a stage index above `Limits.stages`.
    package mutating func failure(of step: UInt32, _ failure: StageFailure) throws(WireError) {
        switch failure.cause {
        case .outOfCells(let rows, let cellCount):
            try putFailure(step, failure.stage, .outOfCells, rows, cellCount, "", "")
        case .invalidRow(let field, let value, let limit):
            try putFailure(step, failure.stage, .invalidRow, value, limit, field, "")
        case .cancelled:
            try putFailure(step, failure.stage, .cancelled, 0, 0, "", "")
        case .engine(let operation, let code, let reason):
            try putFailure(step, failure.stage, .engine, code, 0, operation, reason)
        case .protocolViolation(let reason):
            try putFailure(step, failure.stage, .protocolViolation, 0, 0, "", reason)
        case .stageLost(let reason):
            try putFailure(step, failure.stage, .stageLost, 0, 0, "", reason)
        case .draining:
            try putFailure(step, failure.stage, .draining, 0, 0, "", "")
        }
    }

    private mutating func putFailure(
        _ step: UInt32, _ stage: Int, _ code: FailureCode, _ first: Int, _ second: Int, _ name: String,
        _ reason: String
    ) throws(WireError) {
        let name = name.cut(utf8Count: Limits.identityBytes)
        let reason = reason.cut(utf8Count: Limits.reasonBytes)
        try frame(.failure, stream: step) { writer throws(WireError) in
            try writer.put(code.rawValue)
            try writer.put(UInt8(0))
            try writer.put16(stage, "failure.stage", limit: Limits.stages)
            try writer.put(Int64(first))
            try writer.put(Int64(second))
            try writer.put16(name.utf8.count, "failure.name")
            try writer.put16(reason.utf8.count, "failure.reason")
            try writer.putText(name)
            try writer.putText(reason)
        }
    }
}

extension ByteReader {
    /// The body of a failure frame.
    mutating func failure(_ bytes: RawSpan) throws(WireError) -> StageFailure {
        let rawCode = try u8(bytes, "failure.code")
        guard let code = FailureCode(rawValue: rawCode) else {
            throw .invalidValue(field: "failure.code", offset: 0, value: Int(rawCode), allowed: "1 … 7")
        }
        try reserved8(bytes, "failure.reserved")
        let stage = try shortCount(bytes, "failure.stage", limit: Limits.stages)
        let first = Int(try i64(bytes, "failure.first"))
        let second = Int(try i64(bytes, "failure.second"))
        let nameCount = try shortCount(bytes, "failure.name", limit: Limits.identityBytes)
        let reasonCount = try shortCount(bytes, "failure.reason", limit: Limits.reasonBytes)
        let name = try text(bytes, count: nameCount, "failure.name")
        let reason = try text(bytes, count: reasonCount, "failure.reason")
        try finish("failure")
        let cause: StageFailure.Cause =
            switch code {
            case .outOfCells: .outOfCells(rows: first, cellCount: second)
            case .invalidRow: .invalidRow(field: name, value: first, limit: second)
            case .cancelled: .cancelled
            case .engine: .engine(operation: name, code: first, reason: reason)
            case .protocolViolation: .protocolViolation(reason: reason)
            case .stageLost: .stageLost(reason: reason)
            case .draining: .draining
            }
        return StageFailure(stage: stage, cause: cause)
    }
}

extension String {
    /// The longest prefix of whole scalars with at most `utf8Count` bytes.
    func cut(utf8Count: Int) -> String {
        guard utf8.count > utf8Count else { return self }
        var prefix = ""
        var size = 0
        for scalar in unicodeScalars {
            size += UTF8.width(scalar)
            guard size <= utf8Count else { break }
            prefix.unicodeScalars.append(scalar)
        }
        return prefix
    }
}
