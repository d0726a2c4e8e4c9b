import Dialects
import Foundation
import Testing
import Vocabulary

/// Images in the four dialects.
@Suite struct `Images in requests` {
    /// A file that is as long as its header, which says it has this size.
    private static func png(_ width: Int, _ height: Int, tail: Int = 4) -> [UInt8] {
        func big(_ number: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13] + Array("IHDR".utf8) + big(width)
            + big(height) + [8, 2, 0, 0, 0] + [UInt8](repeating: 7, count: tail)
    }

    private static let gif = Array("GIF89a".utf8) + [3, 0, 2, 0, 0, 0, 0]
    private static let jpeg: [UInt8] =
        [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xC0, 0, 17, 8, 0, 5, 0, 9, 3] + [UInt8](repeating: 0, count: 9)
    private static let good = base64(png(2, 3))

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
    private static func url(_ file: String, _ type: String = "image/png") -> String { "data:\(type);base64,\(file)" }

    private static func chat(_ content: String, role: String = "user") throws -> [Message] {
        let extra = role == "tool" ? #","tool_call_id":"c""# : ""
        let body = #"{"model":"m","messages":[{"role":"\#(role)"\#(extra),"content":\#(content)}]}"#
        return messages(try OpenAI.ChatCompletion.decode(Array(body.utf8), id: RequestID(1)).request)
    }

    private static func responses(_ content: String, role: String = "user") throws -> [Message] {
        try conversation(#"[{"role":"\#(role)","content":\#(content)}]"#)
    }

    private static func anthropic(_ content: String) throws -> [Message] {
        messages(try decodeConversation(#"[{"role":"user","content":\#(content)}]"#).decoded.request)
    }

    private static func ollama(_ route: Ollama.Route, _ fields: String) throws -> [Message] {
        let body = Array(#"{"model":"m",\#(fields)}"#.utf8)
        return messages(try Ollama.AnswerRequest.decode(body, route: route, id: RequestID(1)).decoded.request)
    }

    private static func messages(_ request: GenerationRequest) -> [Message] {
        if case .chat(let messages) = request.prompt { messages } else { [] }
    }

    private static func places(_ message: Message?) -> [Int] { (message?.images ?? []).map(\.offset) }

    @Test func `every dialect keeps an image in its place`() throws {
        let (good, url) = (Self.good, Self.url(Self.good))
        let part = #"{"type":"image_url","image_url":{"url":"\#(url)","detail":"low"}}"#
        let chat = try Self.chat(
            #"[{"type":"text","text":"ä"},\#(part),{"type":"text","text":"b"},{"type":"text","text":"c"}]"#)
        #expect(
            chat == [
                Message(
                    role: .user, text: "äb\nc",
                    images: [MessageImage(base64: good, offset: 2, field: "messages[0].content[1].image_url.url")])
            ])
        #expect(Self.places(try Self.chat("[\(part),\(part)]", role: "tool").first) == [0, 0])
        let short = try Self.chat(#"[{"type":"image_url","image_url":"\#(url)"}]"#)
        #expect(short.first?.images?.first?.field == "messages[0].content[0].image_url")

        let input = #"[{"type":"input_text","text":"ab"},{"type":"input_image","image_url":"\#(url)"}]"#
        #expect(
            try Self.responses(input) == [
                Message(
                    role: .user, text: "ab",
                    images: [MessageImage(base64: good, offset: 2, field: "input[0].content[1].image_url")])
            ])

        let block = #"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"\#(good)"}}"#
        let image = MessageImage(base64: good, offset: 0, field: "messages[0].content[0].source.data")
        #expect(
            try Self.anthropic(#"[\#(block),{"type":"text","text":"a"}]"#) == [
                Message(role: .user, text: "a", images: [image])
            ])
        let result = try Self.anthropic(#"[{"type":"tool_result","tool_use_id":"t","content":[\#(block)]}]"#)
        #expect(result.first?.role == .tool && Self.places(result.first) == [0])

        let told = try Self.ollama(
            .chat, #""messages":[{"role":"user","content":"a","images":["\#(good)","\#(good)"]}]"#)
        #expect(Self.places(told.first) == [0, 0] && told.first?.text == "a")
        let generated = try Self.ollama(.generate, #""prompt":"a","images":["\#(good)"]"#)
        #expect(Self.places(generated.first) == [0] && generated.first?.images?.first?.field == "images[0]")
        #expect(try Self.ollama(.chat, #""messages":[{"role":"user","content":"a","images":[]}]"#).first?.images == nil)
    }

    @Test func `each format that is read is known by its beginning`() throws {
        for (file, width, height) in [(Self.png(2, 3), 2, 3), (Self.gif, 3, 2), (Self.jpeg, 9, 5)] {
            let header = try #require(ImageHeader(file))
            #expect(header.width == width && header.height == height)
            for type in ["image/png", "image/jpeg", ""] {
                _ = try Self.chat(
                    #"[{"type":"image_url","image_url":{"url":"\#(Self.url(Self.base64(file), type))"}}]"#)
            }
            for length in 0..<12 { #expect(ImageHeader(Array(file.prefix(length))) == nil) }
        }
    }

    @Test(arguments: [
        ("https://example.com/a.png", "URL fetching is off"), ("HTTP://x", "URL fetching is off"),
        ("file:///etc/passwd", "URL fetching is off"), ("", "URL fetching is off"),
        ("data:image/png,abc", "base64"), ("data:image/png;base64", "base64"),
        ("data:image/png;base64,abc", "base64"), ("data:image/png;base64,ab c", "base64"),
        ("data:image/webp;base64,\(good)", "image/webp"), ("data:text/html;base64,\(good)", "text/html"),
        (url(""), "no image"), (url("aGk="), "no image"), (url(base64(Array(png(2, 3).prefix(20)))), "damaged"),
        (url(base64(Array("RIFF....WEBPVP8 ".utf8))), "WebP"), (url(base64(Array("BM345678".utf8))), "BMP"),
        (url(base64(Array("....ftypavif".utf8))), "AVIF"), (url(base64(png(30_000, 30_000))), "30000 × 30000"),
        (url(base64(png(0, 0))), "0 × 0"), (url(base64(png(0, 5))), "0 × 5"),
        (url(base64(png(70_000, 1))), "70000 × 1"), (url(base64(png(-1, -1))), "pixels"),
    ])
    func `what is no image is refused by its field with the reason`(text: String, reason: String) throws {
        for (field, attempt) in [
            ("messages[0].content[0].image_url.url", Self.chat as (String, String) throws -> [Message]),
            ("input[0].content[0].image_url", Self.responses),
        ] {
            let part =
                field.hasPrefix("input")
                ? #"[{"type":"input_image","image_url":"\#(text)"}]"#
                : #"[{"type":"image_url","image_url":{"url":"\#(text)"}}]"#
            let error = #expect(throws: DialectError.self) { try attempt(part, "user") }
            #expect(error?.field == field, "\(text.prefix(40))")
            #expect(error?.description.contains(reason) == true, "\(error?.description ?? "") lacks \(reason)")
        }
    }

    @Test func `images are bounded in number and bytes, and stand only where the model can be shown them`() throws {
        let part = #"{"type":"image_url","image_url":{"url":"\#(Self.url(Self.good))"}}"#
        let many = "[" + Array(repeating: part, count: Limits.images).joined(separator: ",")
        #expect(try Self.chat(many + "]").first?.images?.count == Limits.images)
        #expect(throws: DialectError.self) { try Self.chat(many + ",\(part)]") }
        let block = #"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"\#(Self.good)"}}"#
        let blocks = "[" + Array(repeating: block, count: Limits.images + 1).joined(separator: ",") + "]"
        #expect(throws: DialectError.self) { try Self.anthropic(blocks) }
        let files = Array(repeating: #""\#(Self.good)""#, count: Limits.images + 1).joined(separator: ",")
        #expect(throws: DialectError.self) { try Self.ollama(.generate, #""prompt":"a","images":[\#(files)]"#) }

        let exact = Self.base64(Self.png(2, 2, tail: Limits.imageBytes - 29))
        #expect(try Self.ollama(.generate, #""prompt":"a","images":["\#(exact)"]"#).first?.images?.count == 1)
        let large = Self.base64(Self.png(2, 2, tail: Limits.imageBytes - 28))
        let error = #expect(throws: DialectError.self) {
            try Self.ollama(.generate, #""prompt":"a","images":["\#(large)"]"#)
        }
        #expect(error == .tooLong(field: "images[0]", bytes: Limits.imageBytes + 1, limit: Limits.imageBytes))

        for role in ["system", "assistant", "developer"] {
            #expect(throws: DialectError.self, "\(role)") { try Self.chat("[\(part)]", role: role) }
            let input = #"[{"type":"input_image","image_url":"\#(Self.url(Self.good))"}]"#
            #expect(throws: DialectError.self, "\(role)") { try Self.responses(input, role: role) }
        }
        #expect(throws: DialectError.self) {
            try Self.ollama(.chat, #""messages":[{"role":"system","images":["\#(Self.good)"]}]"#)
        }
        #expect(throws: DialectError.self) {
            try Self.ollama(.generate, #""prompt":"a","raw":true,"images":["\#(Self.good)"]"#)
        }
        for source in [#"{"type":"url","url":"https://x"}"#, #"{"type":"file","file_id":"f"}"#] {
            let error = #expect(throws: DialectError.self) {
                try Self.anthropic(#"[{"type":"image","source":\#(source)}]"#)
            }
            #expect(error?.field == "messages[0].content[0].source.type")
        }
        let kept = #"[{"type":"input_image","file_id":"f"}]"#
        #expect(throws: DialectError.self) { try Self.responses(kept) }
    }

    @Test func `base64 has one spelling per file`() {
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            #expect(Base64.bytes(Self.base64(bytes)) == bytes)
        }
        for bad in ["A", "AA", "AAA", "A===", "====", "AB==", "AAB=", "AA=A", "AA==AAAA", "A-_=", "AAAA\n"] {
            #expect(Base64.bytes(bad) == nil, "\(bad)")
        }
        #expect(Base64.bytes("/+8=") == [0xFF, 0xEF])
    }
}
