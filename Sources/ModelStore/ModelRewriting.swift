package import GGUF
import SystemPackage

/// Writes model files with other files' tensors under another header.
package enum ModelRewriting {
    /// Writes the model at `source` with its layers repeated up to `layers`.
    ///
    /// **Throws:** `unreadable`, `malformed` when the family cannot be deepened that way, `unwritable`, `diskFull`.
    package static func deepen(_ source: String, layers: Int, to path: String) throws(StoreError) {
        try rewrite(source, to: path) { original throws(GGUFError) in
            let deep = try original.deepened(layers: layers)
            return (deep.writer, deep.sources)
        }
    }

    /// Writes the model at `source` with a card that asks for `tags` instead of what it asked for; `path` may be the
    /// file itself.
    ///
    /// **Throws:** `unreadable`, `malformed`, `unsound` for tags outside their limits, `unwritable`, `diskFull`.
    package static func tag(_ source: String, _ tags: PlacementTags, to path: String) throws(StoreError) {
        try rewrite(source, to: path) { original throws(GGUFError) in
            var writer = GGUFWriter(copying: original)
            writer.set(tags)
            return (writer, Array(original.tensors.indices))
        }
    }

    /// Writes what `change` makes of a file's header, with the file's tensors at the places it names.
    private static func rewrite(
        _ source: String, to path: String,
        _ change: (GGUFFile) throws(GGUFError) -> (writer: GGUFWriter, sources: [Int])
    ) throws(StoreError) {
        let bytes = try FileByteSource(path: source)
        let original: GGUFFile
        let layout: GGUFLayout
        let sources: [Int]
        do {
            original = try GGUFFile.parse(bytes)
            let changed = try change(original)
            layout = try changed.writer.layout()
            sources = changed.sources
        } catch {
            throw .malformed(path: source, error: error)
        }
        if let finding = layout.file.validate().first(where: { $0.severity == .error }) {
            throw .unsound(path: path, finding: finding.description)
        }
        try StoreFiles.make(path, byteCount: layout.fileByteCount) { file in
            let from = try FileDescriptor.open(FilePath(source), .readOnly)
            defer { try? from.close() }
            try file.writeAll(toAbsoluteOffset: 0, layout.header)
            for (tensor, place) in zip(layout.file.tensors, sources) {
                let data = original.tensors[place]
                let segment = StageFilePlan.Segment(
                    sourceOffset: original.fileOffset(of: data), destinationOffset: layout.file.fileOffset(of: tensor),
                    byteCount: data.byteCount)
                try FileCopy.copy(segment, from: from, to: file)
            }
        }
    }
}
