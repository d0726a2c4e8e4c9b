package import Vocabulary

/// Numbers of the sequence operations on the wire.
package enum OperationCode: UInt8, CaseIterable {
    case open = 1
    case trim = 2
    case copy = 3
    case free = 4
    case save = 5
    case fetch = 6
    case restore = 7
    case release = 8
    case forget = 9
    case guess = 10
}

extension FrameWriter {
    /// Appends a frame of sequence operations, applied in order before step `step`.
    ///
    /// **Throws:** `cannotEncode` for no operations, too many, or a value outside its field; `limitExceeded` beyond the
    /// link's budget. A throw leaves the writer as it was.
    package mutating func operations(_ operations: [SequenceOperation], before step: UInt32) throws(WireError) {
        guard (1...Limits.operations).contains(operations.count) else {
            throw .cannotEncode(
                field: "operations.count", value: operations.count, allowed: "1 … \(Limits.operations)")
        }
        try frame(.operations, stream: step) { writer throws(WireError) in
            try writer.put16(operations.count, "operations.count")
            try writer.put(UInt16(0))
            for operation in operations {
                try writer.put(operation)
            }
        }
    }

    private mutating func put(_ operation: SequenceOperation) throws(WireError) {
        switch operation {
        case .open(let lane, let sampling):
            try putHead(.open, lane)
            let lengthOffset = byteCount
            try put(UInt32(0))
            try putFields(sampling)
            overwrite(UInt32(truncatingIfNeeded: byteCount - lengthOffset - 4), at: lengthOffset)
        case .trim(let lane, let from):
            try putHead(.trim, lane)
            try putPosition(from, "operations.trim.from")
        case .copy(let from, let to, let length):
            try putHead(.copy, from)
            try put(to.index)
            try put(UInt16(0))
            try putPosition(length, "operations.copy.length")
        case .free(let lane):
            try putHead(.free, lane)
        case .guess(let lane, let wish):
            try putHead(.guess, lane)
            try put(wish == nil ? 0 : 1 as UInt16)
            try put16(wish?.width ?? 0, "operations.guess.width", limit: Limits.guesses)
            try putProbability(wish?.floor ?? 0, "operations.guess.floor")
        case .archive(let archive):
            try put(archive.action.rawValue)
            try put(UInt8(0))
            try put(archive.lane.index)
            try put(archive.key)
        }
    }

    /// A number from 0 to 1.
    mutating func putProbability(_ number: Float, _ field: String) throws(WireError) {
        guard (0...1).contains(number) else {
            throw .cannotEncode(field: field, value: Int(number.bitPattern), allowed: "0 … 1, as bits")
        }
        try put(number)
    }

    /// The 32 bytes of a digest.
    mutating func put(_ key: SequenceKey) throws(WireError) {
        for byte in key.bytes { try put(byte) }
    }

    private mutating func putHead(_ code: OperationCode, _ lane: Lane) throws(WireError) {
        try put(code.rawValue)
        try put(UInt8(0))
        try put(lane.index)
    }
}

extension ByteReader {
    /// The body of an operations frame.
    mutating func operations(_ bytes: RawSpan) throws(WireError) -> [SequenceOperation] {
        let count = try shortCount(bytes, "operations.count", limit: Limits.operations)
        try reserved16(bytes, "operations.reserved")
        // An operation has at least four bytes, so the count cannot make us reserve more than the frame holds.
        try require(4 * count, "operations")
        var operations: [SequenceOperation] = []
        operations.reserveCapacity(count)
        for _ in 0..<count {
            operations.append(try operation(bytes))
        }
        try finish("operations")
        return operations
    }

    private mutating func operation(_ bytes: RawSpan) throws(WireError) -> SequenceOperation {
        let rawCode = try u8(bytes, "operation.code")
        guard let code = OperationCode(rawValue: rawCode) else {
            throw .invalidValue(field: "operation.code", offset: offset - 1, value: Int(rawCode), allowed: "1 … 10")
        }
        try reserved8(bytes, "operation.reserved")
        let lane = Lane(try u16(bytes, "operation.lane"))
        switch code {
        case .open:
            let length = Int(try u32(bytes, "operation.open.length"))
            try require(length, "operation.open.fields")
            return .open(lane: lane, sampling: try laneSampling(bytes, end: offset + length))
        case .trim:
            return .trim(lane: lane, from: try position(bytes, "operation.trim.from"))
        case .copy:
            let target = Lane(try u16(bytes, "operation.copy.to"))
            try reserved16(bytes, "operation.copy.reserved")
            return .copy(from: lane, to: target, length: try position(bytes, "operation.copy.length"))
        case .free:
            return .free(lane: lane)
        case .guess:
            return .guess(lane: lane, try guessWish(bytes))
        case .save, .fetch, .restore, .release, .forget:
            guard let action = ArchiveOperation.Action(rawValue: rawCode) else {
                throw .invalidValue(field: "operation.code", offset: offset - 4, value: Int(rawCode), allowed: "5 … 9")
            }
            return .archive(ArchiveOperation(action, lane: lane, key: try sequenceKey(bytes, "operation.key")))
        }
    }

    /// u16 whether there is a wish, u16 width, f32 floor.
    private mutating func guessWish(_ bytes: RawSpan) throws(WireError) -> GuessWish? {
        let isThere = try u16(bytes, "operation.guess")
        guard isThere <= 1 else {
            throw .invalidValue(field: "operation.guess", offset: offset - 2, value: Int(isThere), allowed: "0 … 1")
        }
        let width = try shortCount(bytes, "operation.guess.width", limit: Limits.guesses)
        let floor = try probability(bytes, "operation.guess.floor")
        return isThere == 0 ? nil : GuessWish(width: width, floor: floor)
    }

    /// A number from 0 to 1.
    mutating func probability(_ bytes: RawSpan, _ field: String) throws(WireError) -> Float {
        let number = try f32(bytes, field)
        guard (0...1).contains(number) else {
            throw .invalidValue(field: field, offset: offset - 4, value: Int(number.bitPattern), allowed: "0 … 1")
        }
        return number
    }

    /// The 32 bytes of a digest.
    mutating func sequenceKey(_ bytes: RawSpan, _ field: String) throws(WireError) -> SequenceKey {
        var digest: [UInt8] = []
        for _ in 0..<SequenceKey.byteCount { digest.append(try u8(bytes, field)) }
        guard let key = SequenceKey(bytes: digest) else {
            throw .invalidValue(field: field, offset: offset, value: digest.count, allowed: "\(SequenceKey.byteCount)")
        }
        return key
    }
}
