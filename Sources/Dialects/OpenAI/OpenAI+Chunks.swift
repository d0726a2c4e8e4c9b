import Vocabulary

extension OpenAI {
    /// The parts of a streamed chunk that do not depend on its delta, prepared once per answer: a token then costs
    /// three copies and the escaping of its text.
    enum Chunks {
        /// What stands before and after the one entry of `choices`.
        static func frame(
            _ envelope: Envelope, object: String, usageIsNull: Bool
        ) -> (prefix: [UInt8], suffix: [UInt8]) {
            var writer = JSONWriter()
            writer.beginObject()
            envelope.write(object: object, to: &writer)
            writer.key("choices")
            let prefix = Array("data: ".utf8) + writer.bytes + [UInt8(ascii: "[")]
            let suffix = Array((usageIsNull ? "],\"usage\":null}\n\n" : "]}\n\n").utf8)
            return (prefix, suffix)
        }

        /// `{"index":0,` of a choice.
        static func open(_ choice: Int, to bytes: inout [UInt8]) {
            bytes.append(contentsOf: #"{"index":"#.utf8)
            JSONWriter.append(choice, to: &bytes)
            bytes.append(UInt8(ascii: ","))
        }

        /// `"logprobs":…` of a chat delta.
        static func appendLogprobs(_ logprobs: [TokenLogprob], to bytes: inout [UInt8]) {
            guard !logprobs.isEmpty else {
                bytes.append(contentsOf: #""logprobs":null"#.utf8)
                return
            }
            bytes.append(contentsOf: #""logprobs":{"content":["#.utf8)
            Logprobs.appendEntries(logprobs, to: &bytes)
            bytes.append(contentsOf: #"],"refusal":null}"#.utf8)
        }

        /// Ends the last chunk of a stream without usage, adding where the time went.
        static func close(with timings: Timings, usage: Usage, to bytes: inout [UInt8]) {
            var writer = JSONWriter()
            writer.beginObject()
            write(timings, usage: usage, to: &writer)
            writer.endObject()
            bytes.append(contentsOf: "],".utf8)
            bytes.append(contentsOf: writer.bytes.dropFirst())
            bytes.append(contentsOf: "\n\n".utf8)
        }

        /// The chunk of token counts: no choices, `usage` and `timings`.
        static func appendUsage(prefix: [UInt8], _ completion: Vocabulary.Completion, to bytes: inout [UInt8]) {
            var writer = JSONWriter()
            writer.beginObject()
            write(completion, to: &writer)
            writer.endObject()
            bytes.append(contentsOf: prefix)
            bytes.append(contentsOf: "],".utf8)
            bytes.append(contentsOf: writer.bytes.dropFirst())
            bytes.append(contentsOf: "\n\n".utf8)
        }

        static func appendDone(to bytes: inout [UInt8]) { bytes.append(contentsOf: "data: [DONE]\n\n".utf8) }
    }
}
