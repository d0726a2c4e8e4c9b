import Synchronization

/// Why bytes of a model that somebody sent are not taken.
package enum PartFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// A block is not what its digest says.
    case corrupted(block: Range<UInt64>)
    /// More came than was asked for.
    case excess(asked: Range<UInt64>)
    /// Less came than was asked for.
    case short(asked: Range<UInt64>, came: UInt64)
    /// This machine's disk.
    case store(StoreError)

    /// One sentence.
    package var description: String {
        switch self {
        case .corrupted(let block):
            "the bytes \(block.lowerBound) to \(block.upperBound) are not those of the model: their digest is wrong"
        case .excess(let asked):
            "more came than the \(asked.count) bytes from \(asked.lowerBound) on that were asked for"
        case .short(let asked, let came): "\(came) of the \(asked.count) bytes from \(asked.lowerBound) on came"
        case .store(let error): error.description
        }
    }
}

/// Takes the bytes of a range of a model as they come, and writes each block once it is known to be right.
package final class PartIntake: Sendable {
    private struct Progress {
        /// The next block to be written.
        var place: UInt64
        /// What came of it.
        var block: [UInt8] = []
    }

    private let part: PartialModel
    private let range: Range<UInt64>
    private let progress: Mutex<Progress>

    /// Takes one of the pieces that `PartialModel.missing` names.
    package init(_ part: PartialModel, range: Range<UInt64>) {
        self.part = part
        self.range = range
        progress = Mutex(Progress(place: range.lowerBound))
    }

    /// What is known to be right and written: the range from its beginning up to somewhere.
    package var taken: Range<UInt64> { progress.withLock { range.lowerBound..<$0.place } }

    /// Takes the next bytes.
    ///
    /// **Throws:** `PartFault`; nothing of the block that it is about was written.
    package func take(_ bytes: UnsafeRawBufferPointer) throws(PartFault) {
        let outcome: Result<Void, PartFault> = progress.withLock { progress in
            Result { () throws(PartFault) in try take(bytes, &progress) }
        }
        try outcome.get()
    }

    private func take(_ bytes: UnsafeRawBufferPointer, _ progress: inout Progress) throws(PartFault) {
        let left = range.upperBound - progress.place - UInt64(progress.block.count)
        guard UInt64(bytes.count) <= left else { throw .excess(asked: range) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let length = Int(min(part.blocks.blockByteCount, range.upperBound - progress.place))
            progress.block.reserveCapacity(length)
            let next = rest.prefix(length - progress.block.count)
            progress.block.append(contentsOf: next)
            rest = rest.dropFirst(next.count)
            guard progress.block.count == length else { continue }
            let place = progress.place..<progress.place + UInt64(length)
            guard part.blocks.isRight(progress.block, at: place.lowerBound) else { throw .corrupted(block: place) }
            do throws(StoreError) {
                try part.write(progress.block, at: place.lowerBound)
            } catch {
                throw .store(error)
            }
            progress.place = place.upperBound
            progress.block.removeAll(keepingCapacity: true)
        }
    }

    /// Notes what is right as being here; called also when the rest did not come.
    ///
    /// **Throws:** `StoreError.unwritable`, or `diskFull`.
    package func keep() throws(StoreError) {
        let taken = taken
        if !taken.isEmpty { try part.finish(taken) }
    }

    /// Sees whether all of the range came.
    ///
    /// **Throws:** `PartFault.short`.
    package func end() throws(PartFault) {
        let taken = taken
        guard taken.upperBound == range.upperBound else {
            throw .short(asked: range, came: UInt64(taken.count))
        }
    }
}
