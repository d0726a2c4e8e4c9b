package import Vocabulary

extension EmbeddingCall {
    /// The answer's body; `elapsedNanoseconds` is the time since the request arrived.
    ///
    /// **Throws:** `aboveMaximum` when more dimensions are wanted than the model has.
    package func body(
        _ answer: EmbeddingAnswer, route: Route, elapsedNanoseconds: Int64
    ) throws(DialectError) -> [UInt8] {
        var vectors = answer.vectors
        if let dimensions {
            if let width = vectors.first(where: { $0.count < dimensions })?.count {
                throw .aboveMaximum(
                    field: "dimensions", value: "\(dimensions)", maximum: "\(width)", kind: .integer)
            }
            vectors = vectors.map { Self.shortened($0, to: dimensions) }
        }
        var writer = JSONWriter(reserving: 256 + vectors.count * (vectors.first?.count ?? 0) * 12)
        writer.beginObject()
        switch route {
        case .openAI: writeOpenAI(vectors, answer.promptTokens, to: &writer)
        case .ollama:
            writer.key("model")
            writer.string(model)
            writer.key("embeddings")
            writer.beginArray()
            for vector in vectors { Self.write(vector, to: &writer) }
            writer.endArray()
            for (name, value) in [
                ("total_duration", elapsedNanoseconds), ("load_duration", 0),
                ("prompt_eval_count", Int64(answer.promptTokens)),
            ] {
                writer.key(name)
                writer.integer(value)
            }
        case .ollamaSingle:
            writer.key("embedding")
            Self.write(vectors.first ?? [], to: &writer)
        }
        writer.endObject()
        return writer.bytes
    }

    private func writeOpenAI(_ vectors: [[Float]], _ tokens: Int, to writer: inout JSONWriter) {
        writer.key("object")
        writer.string("list")
        writer.key("data")
        writer.beginArray()
        for (index, vector) in vectors.enumerated() {
            writer.beginObject()
            writer.key("object")
            writer.string("embedding")
            writer.key("index")
            writer.integer(index)
            writer.key("embedding")
            if isBase64 { writer.string(Self.base64(vector)) } else { Self.write(vector, to: &writer) }
            writer.endObject()
        }
        writer.endArray()
        writer.key("model")
        writer.string(model)
        writer.key("usage")
        writer.beginObject()
        for name in ["prompt_tokens", "total_tokens"] {
            writer.key(name)
            writer.integer(tokens)
        }
        writer.endObject()
    }

    /// The first numbers, of length 1 again, as models that allow it are trained for (Matryoshka).
    private static func shortened(_ vector: [Float], to count: Int) -> [Float] {
        guard count < vector.count else { return vector }
        let head = vector.prefix(count)
        let length = head.reduce(into: 0.0 as Double) { $0 += Double($1) * Double($1) }.squareRoot()
        return length > 0 ? head.map { Float(Double($0) / length) } : Array(head)
    }

    private static func write(_ vector: [Float], to writer: inout JSONWriter) {
        writer.beginArray()
        for number in vector { writer.raw(number.isFinite ? number.description : "0") }
        writer.endArray()
    }

    /// RFC 4648 §4, of little-endian 32-bit floats, as OpenAI's SDKs read it.
    private static func base64(_ vector: [Float]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(vector.count * 4)
        for number in vector {
            let pattern = number.bitPattern
            for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: pattern >> shift)) }
        }
        return Base64.text(bytes)
    }
}
