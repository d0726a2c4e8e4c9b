import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its chat templates` {
        private static func renderer() throws -> LlamaRenderer { try LlamaRenderer(try BuiltinModel.shared) }

        private static func chat(_ text: String) -> GenerationRequest {
            GenerationRequest(
                id: RequestID(1), model: "tiny",
                prompt: .chat([Message(role: .system, text: "Be brief."), Message(role: .user, text: text)]))
        }

        private static func text(_ tokens: [Token]) throws -> String {
            let tokenizer = LlamaTokenizer(try BuiltinModel.shared)
            return String(decoding: tokens.flatMap { tokenizer.text(of: $0) }, as: UTF8.self)
        }

        private static func refusal(_ request: GenerationRequest) throws -> GenerationError? {
            let renderer = try renderer()
            do throws(GenerationError) {
                _ = try renderer.prepare(request)
                return nil
            } catch {
                return error
            }
        }

        @Test func `a conversation becomes the model's own notation`() throws {
            let prepared = try Self.renderer().prepare(Self.chat("What is 2 + 3?"))
            let text = try Self.text(prepared.tokens)
            #expect(text.hasPrefix("<|im_start|>system\nBe brief."))
            #expect(text.contains("<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n"))
            #expect(prepared.tokens.first == 4088)
            #expect(prepared.grammar == nil)
        }

        @Test func `a zero byte ends neither a message nor an answer`() throws {
            let renderer = try Self.renderer()
            let request = Self.chat("before\u{0}after")
            let turn = "<|im_start|>user\nbefore\u{0}after<|im_end|>\n<|im_start|>assistant\n"
            #expect(try renderer.text(of: request).contains(turn))
            let prepared = try renderer.prepare(request)
            #expect(try Self.text(prepared.tokens).contains("after<|im_end|>\n<|im_start|>assistant\n"))
            let format = try #require(prepared.format)
            let answer = renderer.parse("before\u{0}after", format: format, isPartial: false)
            #expect(answer.text == "before\u{0}after")
        }

        @Test(arguments: [
            ("", "{}"), (" \n", "{}"), (#"{"city":"Paris"}"#, "Paris"), (#"{"city": "Par"#, "Par"), ("[7]", "[7]"),
            ("no JSON", "no JSON"), ("7", "7"),
        ])
        func `a call of the history goes on whatever its arguments are`(arguments: String, shown: String) throws {
            var request = Self.chat("What is the weather in Paris?")
            guard case .chat(let messages) = request.prompt else { return }
            let call = ToolCall(id: "call_1", name: "get_weather", arguments: arguments)
            request.prompt = .chat(
                messages + [
                    Message(role: .assistant, text: "", toolCalls: [call]),
                    Message(role: .tool, text: "These are no arguments.", toolCallID: "call_1"),
                    Message(role: .user, text: "Try again."),
                ])
            let text = try Self.renderer().text(of: request)
            let written = try #require(text.split(separator: #""arguments": "#, maxSplits: 1).last).prefix {
                $0 != "\n"
            }
            #expect(text.contains("get_weather") && written.contains(shown), "\(written)")
            #expect(written.hasPrefix("{"))
        }

        @Test func `prompts of text and of tokens are taken as they are`() throws {
            var request = Self.chat("")
            request.prompt = .text("<|im_start|>raw")
            #expect(try Self.text(try Self.renderer().prepare(request).tokens) == "<|im_start|>raw")
            request.prompt = .tokens([5, 6, 7])
            #expect(try Self.renderer().prepare(request).tokens == [5, 6, 7])
            request.prompt = .tokens([5, 4096])
            #expect(
                try Self.refusal(request)
                    == .invalidField(name: "prompt", value: "token 4096", limit: "tokens are 0 … 4095"))
        }

        @Test func `a grammar or schema at fault is blamed on its own field`() throws {
            var request = Self.chat("hi")
            request.responseFormat = .grammar("root ::= (")
            guard case .invalidField(name: "grammar", _, _) = try Self.refusal(request) else {
                Issue.record("\(String(describing: try Self.refusal(request)))")
                return
            }
            let missing = ##"{"type":"object","properties":{"a":{"$ref":"#/nope"}}}"##
            for schema in [missing, "{", "[]", #"{"type":"nonsense"}"#] {
                request.responseFormat = .jsonSchema(schema)
                guard case .invalidField(name: "response_format", _, _) = try Self.refusal(request) else {
                    Issue.record("\(schema): \(String(describing: try Self.refusal(request)))")
                    continue
                }
            }
        }

        @Test func `a tool whose schema gives no grammar is blamed before there is a lane`() throws {
            func refusal(of schema: String) throws -> GenerationError? {
                var request = Self.chat("hi")
                request.tools = [
                    Tool(
                        name: "f", summary: "",
                        parameters: #"{"type":"object","properties":{"a":\#(schema)},"required":["a"]}"#)
                ]
                return try Self.refusal(request)
            }
            for schema in [
                #"{"type":"array","items":{"type":"string"},"maxItems":2000}"#,
                #"{"type":"string","minLength":2001}"#,
            ] {
                guard case .invalidField(name: "tools", _, _) = try refusal(of: schema) else {
                    Issue.record("\(schema): \(String(describing: try refusal(of: schema)))")
                    continue
                }
            }
            // The engine takes so large an upper bound for none.
            #expect(try refusal(of: #"{"type":"string","maxLength":5000}"#) == nil)
        }

        @Test func `an answer is split into reasoning, text and calls, whole or half done`() throws {
            let renderer = try Self.renderer()
            var request = Self.chat("What is the weather in Paris?")
            request.tools = [
                Tool(
                    name: "get_weather", summary: "Weather of a city",
                    parameters: #"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#)
            ]
            let prepared = try renderer.prepare(request)
            let format = try #require(prepared.format)
            #expect(try Self.text(prepared.tokens).contains("get_weather"))
            #expect(prepared.grammar?.triggers?.isEmpty == false)
            let answer =
                "<think>\nParis.\n</think>\n\n<tool_call>\n"
                + #"{"name": "get_weather", "arguments": {"city": "Paris"}}"# + "\n</tool_call>"
            let whole = renderer.parse(answer, format: format, isPartial: false)
            #expect(whole.reasoning.contains("Paris."))
            #expect(whole.toolCalls.map(\.name) == ["get_weather"])
            #expect(whole.toolCalls.first?.arguments.contains("Paris") == true)
            // Growing text never takes back what was said, and never shows half a mark.
            var before = ParsedAnswer()
            for end in answer.indices {
                let part = renderer.parse(String(answer[..<end]), format: format, isPartial: true)
                #expect(part.reasoning.hasPrefix(before.reasoning))
                #expect(part.text.hasPrefix(before.text))
                #expect(part.toolCalls.count >= before.toolCalls.count)
                #expect(!part.text.contains("<"))
                before = part
            }
        }
    }
}
