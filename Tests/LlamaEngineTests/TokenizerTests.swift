import LlamaEngine
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its tokenizer` {
        private static func tokenizer() throws -> LlamaTokenizer { LlamaTokenizer(try BuiltinModel.shared) }

        private static let texts = [
            "", " ", "Hello, world!", "tabs\tand\r\nlines\n\n", "äöü ß é ñ 日本語 العربية", "👋🏽 👨‍👩‍👧‍👦 🇪🇺 e\u{301}",
            "\u{0}",
            "1234567890 3.14159", "<|im_start|>user\n</think><tool_call>", "  leading and trailing  ",
        ]

        @Test func `text comes back from its tokens`() throws {
            let tokenizer = try Self.tokenizer()
            for text in Self.texts {
                let tokens = try tokenizer.tokens(of: text, special: false)
                #expect(tokens.allSatisfy { (0..<Token(tokenizer.vocabularySize)).contains($0) })
                #expect(String(decoding: tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self) == text)
            }
        }

        @Test func `control tokens count as such only when they may`() throws {
            let tokenizer = try Self.tokenizer()
            let text = "<|im_start|>user\nhi<|im_end|>"
            let special = try tokenizer.tokens(of: text, special: true)
            let plain = try tokenizer.tokens(of: text, special: false)
            #expect(special.first == 4088)
            #expect(special.last == 4089)
            #expect(!plain.contains(4088) && !plain.contains(4089))
            // A control token adds nothing to an answer, but it has a text.
            #expect(String(decoding: special.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self) == "user\nhi")
            #expect(String(decoding: special.flatMap { tokenizer.text(of: $0) }, as: UTF8.self) == text)
            #expect(tokenizer.endsGeneration(4089))
            #expect(!tokenizer.endsGeneration(4088))
        }

        @Test func `every id has bytes, and ids outside the vocabulary have none`() throws {
            let tokenizer = try Self.tokenizer()
            #expect(tokenizer.vocabularySize == 4096)
            let silent = (0..<4087).filter { tokenizer.bytes(of: Token($0)).isEmpty }
            #expect(silent.isEmpty)
            for token in [-1, 4096, .min, .max] as [Token] {
                #expect(tokenizer.bytes(of: token).isEmpty)
                #expect(!tokenizer.endsGeneration(token))
            }
        }
    }
}
