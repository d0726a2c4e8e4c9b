import Foundation
import Gateway
import NIOCore
import NIOPosix
import Runner
import Serving
import Testing
import Transport
import Vocabulary

@testable import Node

/// With real runner processes, so one after the other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct `Placements` {
    @Test func `the answer is the same in one process and in three`() async throws {
        let texts = Collected<[String]>()
        for count in [1, 3] {
            try await RunningPlacement.with({ $0.cutting = .stages(count) }) { placement in
                var answers: [String] = []
                for (index, question) in ["Hello! Who are you?", "What is 12 + 30?"].enumerated() {
                    let events = try await placement.events(RunningPlacement.request(UInt64(index + 1), question))
                    guard case .started(let promptTokens, _) = events.first, promptTokens > 5,
                        case .finished(let completion) = events.last
                    else {
                        Issue.record("the stream is not whole: \(events)")
                        return
                    }
                    #expect(events.ends.count == 1)
                    #expect(completion.usage.promptTokens == promptTokens)
                    #expect((1...32).contains(completion.usage.outputTokens))
                    #expect(!events.text.isEmpty)
                    answers.append(events.text)
                }
                await texts.add(answers)
                let times = await placement.supervisor.stageTimes()
                #expect(times.count == count)
                #expect(times.allSatisfy { $0.steps > 10 && $0.computeNanoseconds > 0 })
                #expect(await placement.supervisor.loadedStages.count == count)
            }
        }
        let all = await texts.values
        #expect(all.count == 2)
        #expect(Set(all).count == 1)
    }

    @Test(arguments: [1, 2]) func `a model's own head guesses over a slow link`(stageCount: Int) async throws {
        let change: (inout DeploymentSpec) -> Void = {
            $0.path = Fixture.headedModel
            $0.cutting = .stages(stageCount)
            $0.conditions.delayMicroseconds = 20_000
            $0.drafting = .mtp
        }
        try await RunningPlacement.with(change) { placement in
            let question = "Count from 3 to 30."
            let events = try await placement.events(RunningPlacement.request(1, question, tokens: 80))
            guard case .finished = events.last else {
                Issue.record("the stream is not whole: \(events)")
                return
            }
            let loaded = await placement.supervisor.loadedStages
            #expect((0..<stageCount).map { loaded[$0]?.heads != nil } == (0..<stageCount).map { $0 == stageCount - 1 })
            let report = try #require(await placement.supervisor.ready().report())
            guard stageCount > 1 else { return }
            // A way of 40 ms is worth any guess; alone it is up to the machine.
            let counts = try #require(report.speculated[.mtp])
            #expect(counts.drafted > 20)
            #expect(counts.accepted > counts.drafted / 3)
        }
    }

    @Test func `answers at the same time are each what they are alone`() async throws {
        try await RunningPlacement.with({ $0.cutting = .stages(2) }) { placement in
            // What the model is sure of: between tokens that are nearly equal, as in a story, the rounding of a step
            // with eight rows or more may decide.
            let questions = ["Hello!", "What is 7 times 6?", "What is 3 plus 4?", "Name a colour.", "Goodbye!", "Why?"]
            var alone: [String] = []
            for (index, question) in questions.enumerated() {
                alone.append(try await placement.events(RunningPlacement.request(UInt64(index + 1), question)).text)
            }
            let together = try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for (index, question) in questions.enumerated() {
                    group.addTask {
                        let request = RunningPlacement.request(UInt64(index + 100), question)
                        return (index, try await placement.events(request).text)
                    }
                }
                return try await group.reduce(into: [Int: String]()) { $0[$1.0] = $1.1 }
            }
            #expect(questions.indices.map { together[$0] } == alone)
        }
    }

    @Test func `a reader that goes away frees its lane`() async throws {
        let change: (inout DeploymentSpec) -> Void = {
            $0.cutting = .stages(2)
            $0.window = 2048
        }
        try await RunningPlacement.with(change) { placement in
            let link = try await placement.supervisor.ready()
            let (begun, begin) = AsyncStream.makeStream(of: Void.self)
            let reader = Task { try await placement.story(1) { begin.yield() } }
            for await _ in begun { break }
            let busy = try #require(await link.report())
            #expect(busy.active == 1 && busy.lanes == 1 && busy.cells > 0)
            reader.cancel()
            // Each report is a round trip through the entry stage.
            var report = busy
            while report.lanes > 0 || report.stepsInFlight > 0 { report = try #require(await link.report()) }
            #expect(report.active == 0 && report.queued == 0)
            #expect(try await placement.events(RunningPlacement.request(2, "Hello!")).ends.count == 1)
        }
    }

    @Test func `a request the entry stage refuses ends with its reason`() async throws {
        try await RunningPlacement.with { placement in
            var long = RunningPlacement.request(1, "")
            long.prompt = .tokens([Token](repeating: 5, count: 513))
            guard
                case .failed(.contextLengthExceeded(promptTokens: 513, _, window: 512)) =
                    try await placement.events(long).last
            else {
                Issue.record("a prompt beyond the window is not refused")
                return
            }
            var strange = RunningPlacement.request(2, "hi")
            strange.responseFormat = .grammar("root ::= (")
            guard case .failed(.invalidField(name: "grammar", _, _)) = try await placement.events(strange).last else {
                Issue.record("a broken grammar is not refused")
                return
            }
            #expect(try await placement.events(RunningPlacement.request(3, "Hello!")).text.isEmpty == false)
        }
    }

    #if os(Linux)
        @Test(arguments: [0, 1])
        func `a killed stage ends each answer with one error, and the placement comes back`(stage: Int) async throws {
            // Room for both answers at once.
            let change: (inout DeploymentSpec) -> Void = {
                $0.cutting = .stages(2)
                $0.window = 2048
            }
            try await RunningPlacement.with(change) { placement in
                let victim = try #require(RunnerProcesses.listening(at: "\(placement.folder)/1-\(stage).sock"))
                let (begun, begin) = AsyncStream.makeStream(of: Void.self)
                let readers = (1...2).map { id in Task { try await placement.story(UInt64(id)) { begin.yield() } } }
                var count = 0
                for await _ in begun {
                    count += 1
                    if count == readers.count { break }
                }
                #expect(kill(victim, SIGKILL) == 0)
                for reader in readers {
                    let events = try await reader.value
                    #expect(events.ends.count == 1)
                    guard case .failed(.stageLost(stage, let reason)) = events.last else {
                        Issue.record("the end is \(String(describing: events.last))")
                        continue
                    }
                    #expect(reason.contains("signal 9"))
                }
                let events = try await placement.events(RunningPlacement.request(9, "Hello!"))
                guard case .finished = events.last else {
                    Issue.record("the placement did not come back: \(String(describing: events.last))")
                    return
                }
                #expect(await placement.supervisor.restarts == 1)
            }
        }

        @Test func `a stopped placement leaves no process behind`() async throws {
            let victims = Collected<Int32>()
            try await RunningPlacement.with({ $0.cutting = .stages(2) }) { placement in
                for index in 0..<2 {
                    let path = "\(placement.folder)/1-\(index).sock"
                    await victims.add(try #require(RunnerProcesses.listening(at: path)))
                }
            }
            let all = await victims.values
            #expect(all.count == 2)
            for process in all { #expect(kill(process, 0) == -1) }
        }
    #endif

    @Test func `a program that cannot be started is given up with the reason`() async throws {
        try await Fixture.withFolder { folder in
            let supervisor = PlacementSupervisor(
                plan: try Fixture.plan(in: folder), executable: "\(folder)/no-such-program", folder: folder,
                eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: Fixture.silence)
            try await within("giving up") { await supervisor.run() }
            do throws(GenerationError) {
                _ = try await supervisor.ready()
                Issue.record("it is ready")
            } catch {
                guard case .modelNotReady(name: "tiny", let reason, _) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(reason.contains("could not be started"))
            }
        }
    }

    /// That of a model which nobody starts, so it never becomes ready.
    private static func backend(in folder: String) throws -> NodeBackend {
        let supervisor = PlacementSupervisor(
            plan: try Fixture.plan(in: folder), executable: "/none", folder: folder,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: Fixture.silence)
        return NodeBackend([supervisor], router: nil)
    }

    @Test func `a request waits for its model no longer than its time`() async throws {
        try await Fixture.withFolder { folder in
            let backend = try Self.backend(in: folder)
            var request = RunningPlacement.request(1, "hi")
            (request.timeoutSeconds, request.elapsedSeconds) = (3, 2.95)
            var events: [GenerationEvent] = []
            for await event in await backend.generate(request).events { events.append(event) }
            #expect(events == [.failed(.deadlineExceeded(seconds: 3))])
        }
    }

    @Test func `a model that is not served is refused with those that are`() async throws {
        try await Fixture.withFolder { folder in
            let backend = try Self.backend(in: folder)
            var request = RunningPlacement.request(1, "hi")
            request.model = "other"
            var events: [GenerationEvent] = []
            for await event in await backend.generate(request).events { events.append(event) }
            #expect(events == [.failed(.modelNotFound(name: "other", available: ["tiny"]))])
            let models = await backend.models()
            #expect(models.map(\.card.id) == ["tiny"])
            #expect(backend.nextRequestID() != backend.nextRequestID())
        }
    }
}

/// Values gathered from concurrent closures.
actor Collected<Value: Sendable> {
    private(set) var values: [Value] = []

    func add(_ value: Value) { values.append(value) }
}

#if os(Linux)
    /// Finds runners by the sockets they hold.
    enum RunnerProcesses {
        /// The process that listens at a Unix socket.
        static func listening(at path: String) -> Int32? {
            guard let table = try? String(contentsOfFile: "/proc/net/unix", encoding: .utf8) else { return nil }
            let lines = table.split(separator: "\n").map { $0.split(separator: " ") }
            // Accepted connections carry the path too; the listener has the flag "accepting connections".
            guard let line = lines.first(where: { $0.last == Substring(path) && $0.count > 6 && $0[3] == "00010000" })
            else { return nil }
            let socket = "socket:[\(line[6])]"
            let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return entries.compactMap(Int32.init).first { process in
                let folder = "/proc/\(process)/fd"
                let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
                return files.contains {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == socket
                }
            }
        }
    }
#endif
