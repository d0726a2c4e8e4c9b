import Foundation
import GGUF
import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `A draft model beside it` {
        private static var path: String {
            BuiltinModel.path.replacingOccurrences(of: "skein-tiny-q8_0", with: "skein-tiny-draft-q8_0")
        }

        private static func draft(lanes: Int = 4) throws -> DraftModel<LlamaStageEngine> {
            DraftModel(
                try LlamaStageEngine.draft(
                    path: path, beside: try BuiltinModel.shared,
                    options: ContextOptions(cellCount: 1024, laneCount: lanes, rowLimit: 128), model: ModelOptions()))
        }

        private static let questions = [
            "Count from 3 to 12.", "Say hello in three languages.", "Give me a list of five animals.",
        ]

        private static func prompt(_ question: String) throws -> [Token] {
            try BuiltinModel.tokens("<|im_start|>user\n\(question)<|im_end|>\n<|im_start|>assistant\n")
        }

        /// Answers with windows that the draft model guesses; `drafted` and `accepted` count.
        private static func answer(
            _ prompt: [Token], _ sampling: LaneSampling, count: Int, drafted: inout Int, accepted: inout Int
        ) throws -> [Token] {
            let lane = Lane(1)
            let stage = try EngineStage()
            var draft = try draft()
            try stage.open(1, sampling)
            try stage.run(prompt, lane: 1)
            var answer = stage.output.samples.map(\.token)
            var own = sampling
            (own.grammar, own.topLogprobs) = (nil, 0)
            var operations: [SequenceOperation] = [.open(lane: lane, sampling: own)]
            var known = 0
            while answer.count < count {
                let tokens = prompt + answer
                let rows = (known..<tokens.count).map {
                    StageRow(
                        lane: lane, position: Int32($0), token: tokens[$0], samples: $0 == tokens.count - 1)
                }
                let room = count - answer.count - 1
                let guesses =
                    try draft.run(
                        DraftWork(
                            id: 1, operations: operations, rows: rows,
                            wishes: room > 0 ? [.init(lane: lane, width: min(5, room), floor: 0.1)] : [])
                    ).first?.tokens ?? []
                let start = tokens.count - 1
                try stage.execute(
                    ([tokens[start]] + guesses).enumerated().map {
                        StageRow(
                            lane: lane, position: Int32(start + $0.offset), token: $0.element, samples: true)
                    })
                let samples = stage.output.samples.map(\.token)
                drafted += guesses.count
                accepted += samples.count - 1
                answer += samples
                known = tokens.count
                try stage.apply(.trim(lane: lane, from: Int32(prompt.count + answer.count - 1)))
                operations = [.trim(lane: lane, from: Int32(known))]
            }
            return answer
        }

        @Test(arguments: [0, 0.8] as [Float])
        func `changes no token and is often right`(temperature: Float) throws {
            var (drafted, accepted) = (0, 0)
            for (index, question) in Self.questions.enumerated() {
                let prompt = try Self.prompt(question)
                let sampling = LaneSampling.plain(prompt, temperature: temperature, seed: UInt64(index))
                let truth = try EngineStage().answer(prompt, sampling, count: 24)
                let found = try Self.answer(
                    prompt, sampling, count: 24, drafted: &drafted, accepted: &accepted)
                #expect(found == truth)
            }
            #expect(drafted > 20)
            #expect(Double(accepted) > 0.3 * Double(drafted), "\(accepted) of \(drafted)")
        }

        @Test func `guesses for several lanes what it guesses for each`() throws {
            let prompts = try Self.questions.map(Self.prompt)
            func work(_ lanes: [Int]) throws -> DraftWork {
                DraftWork(
                    id: 1,
                    operations: lanes.map {
                        var sampling = LaneSampling.plain(prompts[$0])
                        sampling.topLogprobs = 0
                        return .open(lane: Lane(UInt16($0)), sampling: sampling)
                    },
                    rows: lanes.flatMap { EngineStage.rows(prompts[$0], lane: UInt16($0)) },
                    wishes: lanes.map { .init(lane: Lane(UInt16($0)), width: 4, floor: 0) })
            }
            var together = try Self.draft()
            let all = try together.run(try work([0, 1, 2]))
            #expect(all.map(\.tokens.count) == [4, 4, 4])
            for lane in 0..<3 {
                var alone = try Self.draft()
                #expect(try alone.run(try work([lane])).first?.tokens == all[lane].tokens)
            }
            #expect(all.allSatisfy { $0.probabilities.allSatisfy { (0...1).contains($0) } })
        }

        @Test func `of the built-in model has its vocabulary`() throws {
            #expect(try VocabularyDifference.between(draftPath: Self.path, modelPath: BuiltinModel.path) == nil)
        }

        @Test func `of another vocabulary is refused by what differs`() throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-\(UUID())").path
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            // The same file with one letter of a token changed: the digits of the vocabulary are there once each.
            var bytes = try Data(contentsOf: URL(filePath: Self.path))
            let mark = Data("<|im_end|>".utf8)
            let place = try #require(bytes.range(of: mark))
            bytes[place.lowerBound + 3] = UInt8(ascii: "x")
            let changed = "\(folder)/changed.gguf"
            try bytes.write(to: URL(filePath: changed))
            let difference = try #require(
                try VocabularyDifference.between(draftPath: changed, modelPath: BuiltinModel.path))
            guard case .token(_, let draft, let model) = difference else {
                Issue.record("\(difference)")
                return
            }
            #expect(model == "<|im_end|>")
            #expect(draft != model)
            #expect(throws: EngineError.self) {
                _ = try LlamaStageEngine.draft(
                    path: changed, beside: try BuiltinModel.shared,
                    options: ContextOptions(cellCount: 64, laneCount: 1), model: ModelOptions())
            }
        }
    }
}
