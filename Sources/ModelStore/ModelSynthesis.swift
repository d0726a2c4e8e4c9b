package import GGUF
import SystemPackage

/// Writes synthetic model files: random weights of a known shape.
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
        try StoreFiles.make(path, byteCount: layout.fileByteCount) { file in
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
}
