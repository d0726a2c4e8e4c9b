import CLlama
import Foundation
import GGUF
import LlamaEngine
import ModelStore
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its eyes` {
        /// A synthetic projector for the built-in model, and the folder it lies in.
        private final class Lab {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-eyes-\(UUID().uuidString)")
            var path: String { folder.appending(path: "projector.gguf").path }

            init(width: Int = 256) throws {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try ModelSynthesis.write(ProjectorShape(width: width), seed: 7, to: path)
            }

            deinit { try? FileManager.default.removeItem(at: folder) }

            func projector() throws -> LlamaProjector {
                try LlamaProjector(path: path, identity: [7], model: try BuiltinModel.shared, threads: 1)
            }
        }

        private static let pieces: [PromptPiece] = [
            .text("Look: "), .image(Picture.stripes.png, field: "a"), .text(" and "),
            .image(Picture.red.png, field: "b"), .text("\nWhat do you see?"),
        ]

        private static func sampling(_ tokens: [Token], _ images: [ImageSpan]) -> LaneSampling {
            var sampling = LaneSampling.plain(tokens)
            sampling.images = images
            return sampling
        }

        /// Follows the sampler through a chain of stages.
        private static func answer(
            _ tokens: [Token], _ images: [ImageSpan], _ chain: [EngineStage], count: Int, chunk: Int = .max
        ) throws -> [Token] {
            for stage in chain { try stage.apply(.open(lane: Lane(0), sampling: sampling(tokens, images))) }
            let last = try #require(chain.last)
            var fed = tokens
            var answer: [Token] = []
            var start = 0
            while answer.count < count {
                let end = min(fed.count, start + min(chunk, fed.count))
                var rows = EngineStage.rows(Array(fed[start..<end]), at: start)
                rows[rows.count - 1].samples = end == fed.count
                var activations: [Float] = []
                for stage in chain {
                    try stage.execute(rows, activations: activations)
                    activations = stage.output.activations
                }
                start = end
                guard end == fed.count else { continue }
                let sample = try #require(last.output.samples.first)
                answer.append(sample.token)
                fed.append(sample.token)
            }
            for stage in chain { try stage.apply(.free(lane: Lane(0))) }
            return answer
        }

        /// Rows of text behind the last image: where the last decode's logits are.
        private static func tail(_ tokens: [Token]) -> Int { tokens.reversed().prefix { $0 >= 0 }.count }

        @Test func `rows of an image are the library's own, and so is what the model makes of them`() throws {
            let lab = try Lab()
            let (tokens, images) = try lab.projector().prompt(Self.pieces)
            #expect(images.count == 2 && images.allSatisfy { $0.rows.ids.count == 16 && $0.rows.width == 256 })
            #expect(tokens.count { $0 < 0 } == 32)
            for span in images { #expect(Array(tokens[span.positions]) == span.rows.ids) }
            let marker = String(cString: mtmd_default_marker())
            let (rows, expected) = try LibraryEyes.logits(
                BuiltinModel.path, lab.path, "Look: \(marker) and \(marker)\nWhat do you see?",
                [.stripes, .red])
            #expect(rows == tokens.count)
            let stage = try EngineStage(cache: .f16)
            stage.leaveAttentionToLibrary()
            try stage.apply(.open(lane: Lane(0), sampling: Self.sampling(tokens, images)))
            try stage.execute(EngineStage.rows(tokens))
            let logits = stage.logits(ofRow: Self.tail(tokens) - 1)
            #expect(logits.isIdentical(to: expected), "distance \(logits.distance(to: expected))")
        }

        @Test(arguments: [[4], [1, 5], [2, 4, 6]])
        func `a cut model sees what the uncut one sees`(boundaries: [Int]) throws {
            let lab = try Lab()
            let (tokens, images) = try lab.projector().prompt(Self.pieces)
            let whole = try EngineStage()
            let expected = try Self.answer(tokens, images, [whole], count: 12)
            let (stages, pins) = try EngineStage.chain(boundaries, lab.folder.appending(path: "stages"))
            try withExtendedLifetime(pins) {
                let cut = try Self.answer(tokens, images, stages, count: 12)
                #expect(cut == expected)
                // Chunks end inside of images, too.
                let whole = try Self.answer(tokens, images, [whole], count: 12, chunk: 9)
                #expect(try Self.answer(tokens, images, stages, count: 12, chunk: 9) == whole)
            }
        }

        @Test func `another image is another prompt, and the same one is encoded once`() throws {
            let lab = try Lab()
            let projector = try lab.projector()
            func prompt(_ picture: Picture) throws -> (tokens: [Token], images: [ImageSpan]) {
                try projector.prompt([.text("Look: "), .image(picture.png, field: "a"), .text(" What is it?")])
            }
            let stage = try EngineStage()
            func logits(_ prompt: (tokens: [Token], images: [ImageSpan])) throws -> [Float] {
                try stage.apply(.open(lane: Lane(1), sampling: Self.sampling(prompt.tokens, prompt.images)))
                try stage.execute(EngineStage.rows(prompt.tokens, lane: 1))
                defer { try? stage.apply(.free(lane: Lane(1))) }
                return stage.logits(ofRow: Self.tail(prompt.tokens) - 1)
            }
            let (red, blue, again) = (try prompt(.red), try prompt(.blue), try prompt(.red))
            #expect(red.tokens == again.tokens && red.tokens != blue.tokens)
            #expect(zip(red.tokens, blue.tokens).prefix { $0 == $1 }.count == red.images[0].start)
            #expect(projector.encodedCount == 2)
            let first = try logits(red)
            #expect(try logits(again).isIdentical(to: first))
            #expect(try logits(blue).distance(to: first) > 0.01)
        }

        @Test func `a row without a token is refused where no image stands`() throws {
            let stage = try EngineStage()
            try stage.open(0, .plain([1, 2]))
            #expect(throws: EngineError.self) { try stage.execute(EngineStage.rows([1, -5])) }
        }

        @Test func `a projector for another model is refused with both widths`() throws {
            let lab = try Lab(width: 320)
            let error = #expect(throws: EngineError.self) { try lab.projector() }
            let text = "\(try #require(error))"
            #expect(text.contains("256") && text.contains("320"), "\(text)")
            try Data("no projector".utf8).write(to: URL(filePath: lab.path))
            #expect(throws: EngineError.self) { try lab.projector() }
        }

        @Test func `damaged images are refused by their field`() throws {
            let projector = try Lab().projector()
            let good = Picture.stripes.png
            var huge = Picture.signature + Picture.chunk("IHDR", Picture.header(30_000, 30_000))
            huge += Picture.chunk("IDAT", Picture.stored([0])) + Picture.chunk("IEND", [])
            // 16 pixels that unpack to 64 MiB.
            let bomb =
                Picture.signature + Picture.chunk("IHDR", Picture.header(4, 4))
                + Picture.chunk("IDAT", Picture.zeros(64 << 20))
                + Picture.chunk("IEND", [])
            let empty = Picture.signature + Picture.chunk("IHDR", Picture.header(0, 0)) + Picture.chunk("IEND", [])
            for (name, file) in [
                ("cut off", Array(good.prefix(60))), ("no image", Array("GIF89a".utf8)), ("empty", empty),
                ("huge", huge), ("a bomb", bomb),
            ] {
                let error = #expect(throws: GenerationError.self, "\(name)") {
                    try projector.prompt([.text("a"), .image(file, field: "messages[0].content[1]")])
                }
                guard case .invalidField("messages[0].content[1]", _, _) = error else {
                    Issue.record("\(name): \(String(describing: error))")
                    continue
                }
            }
            #expect(try projector.prompt([.image(good, field: "a")]).images.count == 1)
        }

        @Test func `a conversation's images stand where they were, and nothing written is taken for one`() throws {
            let lab = try Lab()
            let projector = try lab.projector()
            let renderer = try LlamaRenderer(try BuiltinModel.shared, projector: projector)
            let file = Data(Picture.stripes.png).base64EncodedString()
            func request(_ text: String, at offsets: [Int]) -> GenerationRequest {
                let images = offsets.map { MessageImage(base64: file, offset: $0, field: "messages[0].content") }
                return GenerationRequest(
                    id: RequestID(1), model: "m", prompt: .chat([Message(role: .user, text: text, images: images)]))
            }
            let prepared = try renderer.prepare(request("äb", at: [0, 2, 3]))
            #expect(prepared.images.count == 3)
            let tokenizer = LlamaTokenizer(try BuiltinModel.shared)
            let texts = prepared.tokens.split { $0 < 0 }.map { tokens in
                String(decoding: tokens.flatMap { tokenizer.text(of: $0) }, as: UTF8.self)
            }
            #expect(texts.count == 4 && texts[1] == "ä" && texts[2] == "b", "\(texts)")
            for forged in [String(cString: mtmd_default_marker()), "image0x", "<image>"] {
                #expect(try renderer.prepare(request(forged, at: [])).images.isEmpty)
                #expect(try renderer.prepare(request(forged, at: [0])).images.count == 1)
            }
            let blind = try LlamaRenderer(try BuiltinModel.shared)
            let error = #expect(throws: GenerationError.self) { try blind.prepare(request("a", at: [0])) }
            guard case .invalidField("messages[0].content", _, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }
}
