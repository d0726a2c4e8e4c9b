package import GGUF
package import Vocabulary

/// A model file whose header has been read and found sound.
package struct ModelFile: Sendable {
    /// Where the file is.
    package let path: String
    /// Its header.
    package let header: GGUFFile

    /// What people call the model at a path when they say nothing else: the file's name without `.gguf`.
    package static func name(ofPath path: String) -> String {
        let file = path.split(separator: "/").last.map(String.init) ?? path
        return file.hasSuffix(".gguf") ? String(file.dropLast(5)) : file
    }

    /// Reads and checks a header: nothing the C library must not see gets past here.
    ///
    /// **Throws:** `unreadable`, `malformed`, or `unsound` with the first finding that the library would not survive.
    package init(path: String) throws(StoreError) {
        let source = try FileByteSource(path: path)
        do {
            header = try GGUFFile.parse(source)
        } catch {
            throw .malformed(path: path, error: error)
        }
        if let finding = header.validate().first(where: { $0.severity == .error }) {
            throw .unsound(path: path, finding: finding.description)
        }
        self.path = path
    }

    /// The cutter of this model.
    ///
    /// **Throws:** `illegalCut` when the header lacks what cutting needs.
    package func cutter() throws(StoreError) -> ModelCutter {
        do {
            return try ModelCutter(header)
        } catch {
            throw .illegalCut(path: path, error: error)
        }
    }

    /// Tokens of context the model was trained for; 2048 when the file does not say.
    package var trainedContext: Int {
        header.unsigned(header.architectureKey("context_length")).flatMap(Int.init(exactly:)) ?? 2048
    }

    /// Whether the model reads a whole text at once and makes vectors; it generates nothing.
    package var isEncoder: Bool {
        EncoderFamilies.names.contains(header.architecture ?? "")
            || header.bool(header.architectureKey("attention.causal")) == false
    }

    /// The card of this model as it is served.
    package func card(id: String, digest: String, layerCount: Int, servedContext: Int) -> ModelCard {
        ModelCard(
            id: id, architecture: header.architecture ?? "unknown", layerCount: layerCount,
            width: header.unsigned(header.architectureKey("embedding_length")).flatMap(Int.init(exactly:)) ?? 0,
            trainedContext: trainedContext, servedContext: servedContext,
            vocabularySize: header.strings("tokenizer.ggml.tokens")?.count ?? 0,
            parameterCount: header.parameterCount, weightBytes: ByteCount(header.tensorByteCount), digest: digest,
            quantization: quantization, chatTemplate: header.string("tokenizer.chat_template") ?? "",
            license: header.string("general.license") ?? "")
    }
}
