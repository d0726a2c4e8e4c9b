package import Vocabulary

extension Ollama {
    /// Lines of status that end with `success`, or one object of it.
    ///
    /// **Encoding:** newline-delimited JSON with `stream`, else one object.
    package static func progressBody(_ steps: [String], stream: Bool) -> [UInt8] {
        guard stream else { return statusLine("success") }
        return (steps + ["success"]).flatMap { statusLine($0) + [UInt8(ascii: "\n")] }
    }

    private static func statusLine(_ status: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("status")
        writer.string(status)
        writer.endObject()
        return writer.bytes
    }

    /// Turns the events of a request that only loads a model into the lines of a pull.
    package struct PullEncoder: AnswerEncoder {
        private var hasBegun = false
        private var last = ""
        private var isFinished = false

        /// Starts a stream.
        package init() {}

        /// Appends the line of an event; nothing for one that says nothing new.
        package mutating func encode(_ event: GenerationEvent, into bytes: inout [UInt8]) {
            guard !isFinished else { return }
            switch event {
            case .preparing(let text): say(text, into: &bytes)
            case .queued(let position, _): say("waiting, place \(position) in the line", into: &bytes)
            case .started, .output: break
            case .finished:
                say("success", into: &bytes)
                isFinished = true
            case .failed(let error):
                bytes += errorBody(ErrorReport(error)) + [UInt8(ascii: "\n")]
                isFinished = true
            }
        }

        private mutating func say(_ status: String, into bytes: inout [UInt8]) {
            if !hasBegun { bytes += statusLine("pulling manifest") + [UInt8(ascii: "\n")] }
            hasBegun = true
            guard status != last else { return }
            last = status
            bytes += statusLine(status) + [UInt8(ascii: "\n")]
        }

        /// Says again where it stands.
        package func keepAlive(into bytes: inout [UInt8]) {
            bytes += statusLine(last.isEmpty ? "pulling manifest" : last) + [UInt8(ascii: "\n")]
        }
    }
}
