import Foundation
import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its grammars` {
        private static let question = "<|im_start|>user\nIs the sky blue?<|im_end|>\n<|im_start|>assistant\n"

        private static func answer(
            _ grammar: LaneGrammar, temperature: Float = 0, seed: UInt64 = 0, count: Int = 40,
            _ change: (inout SamplingParameters) -> Void = { _ in }
        ) throws -> [Token] {
            let prompt = try BuiltinModel.tokens(question)
            var sampling = LaneSampling.plain(prompt, temperature: temperature, seed: seed)
            sampling.grammar = grammar
            change(&sampling.parameters)
            return try EngineStage().answer(prompt, sampling, count: count, endsEarly: true)
        }

        @Test(arguments: [0, 1.5] as [Float])
        func `an answer matches its grammar and ends where the grammar ends`(temperature: Float) throws {
            let grammar = LaneGrammar(text: #"root ::= "maybe " ("yes" | "no") " " [0-9] [0-9]"#)
            for seed in 0..<5 as Range<UInt64> {
                let tokens = try Self.answer(grammar, temperature: temperature, seed: seed)
                #expect(tokens.last == 4089)
                #expect(try BuiltinModel.text(tokens).wholeMatch(of: /maybe (yes|no) [0-9]{2}/) != nil)
            }
        }

        @Test func `a grammar over other scripts is met in whole characters`() throws {
            let tokens = try Self.answer(LaneGrammar(text: #"root ::= [あ-ん]{3} "👋""#), temperature: 1, seed: 2)
            let text = try BuiltinModel.text(tokens)
            #expect(text.unicodeScalars.count == 4)
            #expect(text.hasSuffix("👋"))
        }

        @Test func `a lazy grammar sleeps until its trigger and holds from there`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let free = try EngineStage().answer(prompt, .plain(prompt), count: 3)
            let trigger = try BuiltinModel.text([free[1]])
            let escaped = trigger.unicodeScalars.map { "\\U" + ("0000000" + String($0.value, radix: 16)).suffix(8) }
                .joined()
            let text = "root ::= \"\(escaped)\" \"#\" [0-9]{4}"
            let pattern = "[\\s\\S]+(\(NSRegularExpression.escapedPattern(for: trigger)))"
            for triggers in [[LaneGrammar.Trigger.token(free[1])], [.pattern(pattern)]] {
                let tokens = try Self.answer(LaneGrammar(text: text, triggers: triggers))
                #expect(tokens.prefix(2) == free.prefix(2))
                let rest = try BuiltinModel.text(Array(tokens.dropFirst(2)))
                #expect(rest.wholeMatch(of: /#[0-9]{4}/) != nil, "\(triggers): \(rest)")
            }
            let asleep = try Self.answer(LaneGrammar(text: text, triggers: [.pattern("never(met)")]), count: 3)
            #expect(asleep == free)
        }

        @Test func `a grammar reads the end of the prompt when it begins there`() throws {
            let tail = Int32(try BuiltinModel.tokens("<|im_start|>assistant\n").count)
            let grammar = LaneGrammar(
                text: #"root ::= "<|im_start|>assistant\n" "blue" "!""#, promptTail: tail)
            #expect(try BuiltinModel.text(try Self.answer(grammar)) == "blue!")
        }

        @Test(arguments: ["root ::= (", "other ::= \"a\"", "root ::= missing", "root ::= root \"a\""])
        func `a grammar that does not compile is refused`(text: String) throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            var sampling = LaneSampling.plain(prompt)
            sampling.grammar = LaneGrammar(text: text)
            let stage = try EngineStage()
            #expect {
                try stage.open(0, sampling)
            } throws: { error in
                guard case .failed(let operation, _, let reason) = error as? EngineError else { return false }
                return operation.contains("grammar") && !reason.isEmpty
            }
            // Its rows run, and nothing is chosen from them.
            try stage.run(prompt)
            #expect(stage.output.samples.map(\.token) == [LaneFailure.noSampler.rawValue])
            try stage.apply(.free(lane: Lane(0)))
            // The lane is free for another try.
            #expect(try stage.answer(prompt, .plain(prompt), count: 1).count == 1)
        }

        @Test func `a grammar that leaves nothing to choose is an error, not a crash`() async {
            // Each in a process of its own: the library ends the process when it is handed a token it forbids.
            await #expect(processExitsWith: .success) {
                _ = try? Self.answer(LaneGrammar(text: #"root ::= "yes""#)) { $0.ignoreEndOfGeneration = true }
            }
            await #expect(processExitsWith: .success) {
                _ = try? Self.answer(LaneGrammar(text: #"root ::= "yes""#)) { parameters in
                    parameters.logitBias = (0..<4096).map { LogitBias(token: Token($0), bias: -.infinity) }
                }
            }
            await #expect(processExitsWith: .success) {
                _ = try? Self.answer(LaneGrammar(text: "root ::= \"yes\""), temperature: 1) { parameters in
                    parameters.ignoreEndOfGeneration = true
                }
            }
        }

        @Test func `a lane with nothing to choose leaves those beside it their tokens`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            var yes = LaneSampling.plain(prompt)
            yes.grammar = LaneGrammar(text: #"root ::= "yes""#)
            yes.parameters.ignoreEndOfGeneration = true
            let stage = try EngineStage()
            var tokens: [Token] = []
            for (lane, sampling) in [yes, .plain(prompt)].enumerated() {
                try stage.open(UInt16(lane), sampling)
                try stage.run(prompt, lane: UInt16(lane))
                tokens += stage.output.samples.map(\.token)
            }
            for step in 0..<8 where tokens.first.map({ $0 >= 0 }) ?? false {
                let rows = tokens.enumerated().map { lane, token in
                    StageRow(
                        lane: Lane(UInt16(lane)), position: Int32(prompt.count + step), token: token, samples: true)
                }
                try stage.execute(rows)
                #expect(stage.output.samples.map(\.lane) == [Lane(0), Lane(1)])
                tokens = stage.output.samples.map(\.token)
            }
            #expect(tokens.count == 2)
            #expect(tokens.first == LaneFailure.nothingToChoose.rawValue)
            #expect(tokens.last.map { $0 >= 0 } == true)
        }

        // MARK: Thinking

        /// How an answer thinks, as the renderer describes it.
        private static func thinking(_ budget: Int32?, isOpen: Bool) throws -> LaneThinking {
            let tokenizer = LlamaTokenizer(try BuiltinModel.shared)
            let end = "</think>"
            var closings: [[Token]] = []
            for index in end.indices {
                closings.append(
                    try tokenizer.tokens(of: String(end[index...]), addsSpecial: false, parsesSpecial: true))
            }
            return LaneThinking(start: "<think>", ends: [end], closings: closings, isOpen: isOpen, budget: budget)
        }

        /// An answer to the question with all its marks.
        private static func spelled(_ sampling: LaneSampling, count: Int) throws -> String {
            let prompt = try BuiltinModel.tokens(question)
            let tokens = try EngineStage().answer(prompt, sampling, count: count)
            let tokenizer = LlamaTokenizer(try BuiltinModel.shared)
            return String(decoding: tokens.flatMap { tokenizer.text(of: $0) }, as: UTF8.self)
        }

        @Test func `a bound of thinking gives way to a grammar that does not let thinking end`() async {
            // In a process of its own: the library ends the process when it is handed a token it forbids.
            await #expect(processExitsWith: .success) {
                var sampling = LaneSampling.plain(try BuiltinModel.tokens(Self.question))
                sampling.grammar = LaneGrammar(text: #"root ::= "<think>" [a-z ]+"#)
                sampling.thinking = try Self.thinking(0, isOpen: false)
                sampling.parameters.ignoreEndOfGeneration = true
                let text = try Self.spelled(sampling, count: 16)
                #expect(text.wholeMatch(of: /<think>[a-z ]+/) != nil, "\(text)")
            }
        }

        @Test func `an answer that leaves its grammar ends alone`() async {
            // In a process of its own, as above.
            await #expect(processExitsWith: .success) {
                let prompt = try BuiltinModel.tokens(Self.question)
                let free = try EngineStage().answer(prompt, .plain(prompt), count: 2)
                var sampling = LaneSampling.plain(prompt)
                // What wakes it is nothing that it begins with.
                sampling.grammar = LaneGrammar(text: #"root ::= "\x01""#, triggers: [.token(free[1])])
                let stage = try EngineStage()
                try stage.open(0, sampling)
                try stage.run(prompt)
                try stage.run([free[0]], at: prompt.count)
                #expect(stage.output.samples.map(\.token) == [free[1]])
                try stage.open(1, .plain(prompt))
                try stage.run(prompt, lane: 1)
                try stage.execute(
                    EngineStage.rows([free[1]], at: prompt.count + 1)
                        + EngineStage.rows([free[0]], lane: 1, at: prompt.count))
                let samples = stage.output.samples
                #expect(samples.map(\.lane) == [Lane(0), Lane(1)])
                #expect(samples.first?.token == LaneFailure.leftGrammar.rawValue)
                #expect(samples.last.map { $0.token >= 0 } == true)
            }
        }

        @Test func `a lazy grammar sleeps while the answer thinks, and may wake by the mark that ends it`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let free = try EngineStage().answer(prompt, .plain(prompt), count: 4)
            var sampling = LaneSampling.plain(prompt)
            sampling.thinking = try Self.thinking(nil, isOpen: true)
            sampling.grammar = LaneGrammar(text: #"root ::= [0-9]"#, triggers: [.token(free[1])])
            #expect(try EngineStage().answer(prompt, sampling, count: 4) == free)
            sampling.thinking = try Self.thinking(2, isOpen: true)
            sampling.grammar = LaneGrammar(
                text: ##"root ::= "</think>" "#" [0-9]+"##, triggers: [.pattern("[\\s\\S]*?(</think>)")])
            let text = try Self.spelled(sampling, count: 16)
            #expect(text.contains(/<\/think>#[0-9]/), "\(text)")
        }

        @Test func `a trigger that is no regular expression is an error, not a crash`() async {
            await #expect(processExitsWith: .success) {
                _ = try? Self.answer(LaneGrammar(text: #"root ::= "yes""#, triggers: [.pattern("(")]))
            }
        }
    }
}
