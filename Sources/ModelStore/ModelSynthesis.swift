package import GGUF
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Writes synthetic model files: random weights of a known shape, or a small model made deeper.
package enum ModelSynthesis {
    /// Rows are generated in pieces of about this size. **Units:** bytes.
    private static let pieceByteCount: UInt64 = 4 << 20

    /// Writes a model of `shape` with weights that follow from `seed`.
    ///
    /// **Throws:** `malformed` for a shape that makes no legal file, `unwritable`, `diskFull`.
    package static func write(_ shape: ModelShape, seed: UInt64, to path: String) throws(StoreError) {
        do {
            try write(try shape.writer().layout(), seed: seed, to: path)
        } catch let error as GGUFError {
            throw .malformed(path: path, error: error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
    }

    /// Writes a projector of `shape` with weights that follow from `seed`.
    ///
    /// **Throws:** as for models.
    package static func write(_ shape: ProjectorShape, seed: UInt64, to path: String) throws(StoreError) {
        do {
            try write(try shape.writer().layout(), seed: seed, to: path)
        } catch let error as GGUFError {
            throw .malformed(path: path, error: error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
    }

    private static func write(_ layout: GGUFLayout, seed: UInt64, to path: String) throws(StoreError) {
        let generator = WeightGenerator(seed: seed)
        try atomically(path, byteCount: layout.fileByteCount) { file in
            try file.writeAll(toAbsoluteOffset: 0, layout.header)
            var bytes: [UInt8] = []
            for tensor in layout.file.tensors where tensor.rowByteCount > 0 {
                let rowsPerPiece = max(1, pieceByteCount / tensor.rowByteCount)
                var row: UInt64 = 0
                while row < tensor.rowCount {
                    let end = min(tensor.rowCount, row + rowsPerPiece)
                    generator.fill(tensor, rows: row..<end, into: &bytes)
                    let offset = layout.file.fileOffset(of: tensor) + row * tensor.rowByteCount
                    try file.writeAll(toAbsoluteOffset: Int64(offset), bytes)
                    row = end
                }
            }
        }
    }

    /// Writes the model at `source` with its layers repeated up to `layers`.
    ///
    /// **Throws:** `unreadable`, `malformed` when the family cannot be deepened that way, `unwritable`, `diskFull`.
    package static func deepen(_ source: String, layers: Int, to path: String) throws(StoreError) {
        let original: GGUFFile
        let deep: DeepenedModel
        let layout: GGUFLayout
        do {
            original = try GGUFFile.parse(try FileByteSource(path: source))
            deep = try original.deepened(layers: layers)
            layout = try deep.writer.layout()
        } catch let error as StoreError {
            throw error
        } catch let error as GGUFError {
            throw .malformed(path: source, error: error)
        } catch {
            throw .unreadable(path: source, reason: "\(error)")
        }
        try atomically(path, byteCount: layout.fileByteCount) { file in
            let from = try FileDescriptor.open(FilePath(source), .readOnly)
            defer { try? from.close() }
            try file.writeAll(toAbsoluteOffset: 0, layout.header)
            for (tensor, place) in zip(layout.file.tensors, deep.sources) {
                let data = original.tensors[place]
                let segment = StageFilePlan.Segment(
                    sourceOffset: original.fileOffset(of: data), destinationOffset: layout.file.fileOffset(of: tensor),
                    byteCount: data.byteCount)
                try FileCopy.copy(segment, from: from, to: file)
            }
        }
    }

    /// Writes a file under a temporary name and renames it, so nobody sees half a model.
    private static func atomically(
        _ path: String, byteCount: UInt64, _ body: (FileDescriptor) throws -> Void
    ) throws(StoreError) {
        let temporary = StoreFiles.temporaryName(for: path)
        do {
            let file = try FileDescriptor.open(
                FilePath(temporary), .readWrite, options: [.create, .truncate],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            defer { try? file.close() }
            try body(file)
            guard ftruncate(file.rawValue, off_t(byteCount)) == 0, rename(temporary, path) == 0 else {
                throw Errno(rawValue: errno)
            }
        } catch {
            unlink(temporary)
            throw .unwritable(path: path, reason: "\(error)")
        }
    }
}
