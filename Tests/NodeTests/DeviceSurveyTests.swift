import Foundation
import LlamaEngine
import Logging
import Placement
import Synchronization
import Testing

@testable import Node

/// What a node said while a test ran.
private final class Said: Sendable {
    private let lines = Mutex<[(level: Logger.Level, text: String)]>([])

    func add(_ level: Logger.Level, _ text: String) { lines.withLock { $0.append((level, text)) } }
    var warnings: [String] { lines.withLock { $0.filter { $0.level == .warning }.map(\.text) } }
    var notices: [String] { lines.withLock { $0.filter { $0.level == .notice }.map(\.text) } }

    var logger: Logger { Logger(label: "tests") { _ in Handler(said: self) } }

    private struct Handler: LogHandler {
        let said: Said
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let more = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
            said.add(event.level, "\(event.message) \(more)")
        }
    }
}

/// Answers one after the other, then nothing but failures; counts what was asked and how long was waited.
private final class Script: Sendable {
    typealias Answer = Result<DeviceFigures, DeviceProbe.Silence>

    private let state: Mutex<(answers: [Answer], asked: Int, waited: [Duration])>

    init(_ answers: [Answer]) { state = Mutex((answers, 0, [])) }

    var asked: Int { state.withLock { $0.asked } }
    var waited: [Duration] { state.withLock { $0.waited } }

    func next() -> Answer {
        state.withLock { state in
            state.asked += 1
            return state.answers.isEmpty
                ? .failure(DeviceProbe.Silence(description: "the script ended")) : state.answers.removeFirst()
        }
    }

    func wait(_ time: Duration) { state.withLock { $0.waited.append(time) } }
}

@Suite struct `A survey of the device` {
    private static let machine = MachineFingerprint(
        processor: "a processor", cores: 4, memory: 16, engine: "b1", devices: ["cpu a processor 16"], device: nil,
        threads: 4)

    private static func figures(_ rate: Double, isDisturbed: Bool = false) -> DeviceFigures {
        DeviceFigures(
            device: nil, threads: 4,
            speed: DeviceSpeed(
                weightReadBytesPerSecond: rate, prefillOperationsPerSecond: rate * 10,
                rowCosts: [.init(type: "q8_0", rows: 1, millisecondsPerGigabyte: 1e12 / rate)]),
            isDisturbed: isDisturbed)
    }

    private static func survey(
        _ folder: String, _ script: Script, _ said: Said = Said(), machine: MachineFingerprint = machine
    ) -> DeviceSurvey {
        DeviceSurvey(
            file: DeviceFigureFile(dataFolder: folder), fingerprint: machine, logger: said.logger,
            pause: { script.wait($0) }, measure: { script.next() })
    }

    @Test func `measures once per machine: the next start knows at once what this one found`() async throws {
        try await Fixture.withFolder { folder in
            let script = Script([.success(Self.figures(10e9))])
            let first = Self.survey(folder, script)
            #expect(first.figures == nil)
            await first.run()
            #expect(first.figures == Self.figures(10e9) && script.asked == 1 && script.waited == [.seconds(1)])
            let second = Self.survey(folder, script)
            #expect(second.figures == Self.figures(10e9))
            await second.run()
            #expect(script.asked == 1)
        }
    }

    @Test(arguments: 0..<7)
    func `measures anew when anything changed that moves the speed`(part: Int) async throws {
        var other = Self.machine
        switch part {
        case 0: other.processor = "another processor"
        case 1: other.cores = 2
        case 2: other.memory = 32
        case 3: other.engine = "b2"
        case 4: other.devices.append("cuda a card 24")
        case 5: other.device = "CUDA0"
        default: other.threads = 2
        }
        try await Fixture.withFolder { folder in
            await Self.survey(folder, Script([.success(Self.figures(10e9))])).run()
            let script = Script([.success(Self.figures(5e9))])
            let said = Said()
            let survey = Self.survey(folder, script, said, machine: other)
            #expect(survey.figures == nil)
            await survey.run()
            #expect(survey.figures == Self.figures(5e9) && script.asked == 1 && said.warnings.isEmpty)
            // One machine's figures are kept, the newest.
            #expect(Self.survey(folder, script).figures == nil)
        }
    }

    @Test func `measures anew when a single byte of what was kept is another one, and says so`() async throws {
        try await Fixture.withFolder { folder in
            await Self.survey(folder, Script([.success(Self.figures(10e9))])).run()
            let file = URL(filePath: folder + "/device.json")
            let whole = try Data(contentsOf: file)
            for place in stride(from: 0, to: whole.count, by: 7) {
                var damaged = whole
                damaged[place] ^= 1
                try damaged.write(to: file)
                let said = Said()
                let survey = Self.survey(folder, Script([]), said)
                #expect(survey.figures == nil, "byte \(place)")
            }
            for damaged in [Data(), whole.prefix(whole.count / 2), Data(count: 1 << 20), Data("[]".utf8)] {
                try damaged.write(to: file)
                let said = Said()
                let script = Script([.success(Self.figures(7e9))])
                let survey = Self.survey(folder, script, said)
                #expect(survey.figures == nil && said.warnings.count == 1)
                await survey.run()
                #expect(survey.figures == Self.figures(7e9))
                #expect(Self.survey(folder, script).figures == Self.figures(7e9))
            }
        }
    }

    @Test func `that fails twice leaves the speed unknown with one warning`() async throws {
        try await Fixture.withFolder { folder in
            let said = Said()
            let script = Script([.failure(DeviceProbe.Silence(description: "it took longer than 15 s"))])
            let survey = Self.survey(folder, script, said)
            await survey.run()
            #expect(survey.figures == nil && script.asked == 2)
            #expect(said.warnings.count == 1 && said.warnings[0].contains("speed=unknown"))
            #expect(!FileManager.default.fileExists(atPath: folder + "/device.json"))
        }
    }

    @Test func `that fails once and then tells is no failure`() async throws {
        try await Fixture.withFolder { folder in
            let said = Said()
            let script = Script([
                .failure(DeviceProbe.Silence(description: "exited(1)")), .success(Self.figures(9e9)),
            ])
            let survey = Self.survey(folder, script, said)
            await survey.run()
            #expect(survey.figures == Self.figures(9e9) && said.warnings.isEmpty)
        }
    }

    @Test func `waits for a quieter moment, counts with the best meanwhile, and measures at the next start too`()
        async throws
    {
        try await Fixture.withFolder { folder in
            let said = Said()
            let script = Script([2e9, 3e9, 1e9, 2e9, 2.5e9].map { .success(Self.figures($0, isDisturbed: true)) })
            let survey = Self.survey(folder, script, said)
            await survey.run()
            #expect(script.asked == DeviceSurvey.pauses.count && script.waited == DeviceSurvey.pauses)
            #expect(survey.figures == Self.figures(3e9, isDisturbed: true))
            #expect(said.notices.count == 1)
            let again = Self.survey(folder, Script([.success(Self.figures(2.8e9))]))
            #expect(again.figures?.isDisturbed == true)
            await again.run()
            // What was measured in quiet counts, whatever was seen before.
            #expect(again.figures == Self.figures(2.8e9))
        }
    }

    @Test func `ends with the node`() async throws {
        try await Fixture.withFolder { folder in
            let survey = DeviceSurvey(
                file: DeviceFigureFile(dataFolder: folder), fingerprint: Self.machine, logger: Fixture.silence,
                pause: { _ in throw CancellationError() }, measure: { .success(Self.figures(1e9)) })
            await survey.run()
            #expect(survey.figures == nil)
        }
    }

    @Test func `is kept nowhere when the folder cannot be written, and counts all the same`() async throws {
        try await Fixture.withFolder { folder in
            try Data().write(to: URL(filePath: folder + "/file"))
            let said = Said()
            let survey = Self.survey(folder + "/file", Script([.success(Self.figures(4e9))]), said)
            await survey.run()
            #expect(survey.figures == Self.figures(4e9) && said.warnings.count == 1)
        }
    }
}

@Suite struct `A process that measures` {
    /// A line of shell that tells a speed.
    private static func tell(_ speed: String) -> String {
        #"echo '{"threads":1,"isDisturbed":false,"speed":{\#(speed)}}'"#
    }

    private static func tell(rowCost cost: String) -> String {
        tell(#""weightReadBytesPerSecond":1e9,"rowCosts":[{\#(cost)}]"#)
    }

    /// A program that ignores its arguments and does this instead.
    private func program(_ folder: String, _ script: String) throws -> String {
        let path = folder + "/program"
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }

    @Test(arguments: [
        "exit 3", "kill -9 $$", "echo nonsense", "echo '{\"threads\":1}'", "true", "head -c 1000000 /dev/zero",
        tell(#""weightReadBytesPerSecond":-5,"rowCosts":[]"#), tell(#""rowCosts":[]"#),
        tell(rowCost: #""type":"q8_0","rows":1,"millisecondsPerGigabyte":0"#),
        tell(rowCost: #""type":"other","rows":1,"millisecondsPerGigabyte":9"#),
        tell(rowCost: #""type":"q8_0","rows":0,"millisecondsPerGigabyte":9"#),
    ])
    func `and tells nothing of use leaves the speed unknown`(script: String) async throws {
        try await Fixture.withFolder { folder in
            let answer = await DeviceProbe.survey(try program(folder, script), device: nil, threads: 1)
            guard case .failure = answer else {
                Issue.record("\(answer)")
                return
            }
        }
    }

    @Test func `and does not end is ended`() async throws {
        try await Fixture.withFolder { folder in
            let path = try program(folder, "echo $$ >\(folder)/pid; exec sleep 1000")
            let answer = await DeviceProbe.survey(path, device: nil, threads: 1, patience: .milliseconds(300))
            guard case .failure(let silence) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(silence.description.contains("longer"))
            if let text = try? String(contentsOfFile: folder + "/pid", encoding: .utf8),
                let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines))
            {
                #expect(kill(pid, 0) != 0)
            }
        }
    }

    @Test func `that is not there is no reason not to start`() async throws {
        guard case .failure = await DeviceProbe.survey("/nowhere/skein", device: nil, threads: 1) else {
            Issue.record("nothing measured something")
            return
        }
    }

    @Test func `is told the device and the threads`() async throws {
        try await Fixture.withFolder { folder in
            let path = try program(
                folder,
                #"""
                [ "$*" = "devices --speed --json --threads 3 --device CUDA0" ] || exit 1
                echo '{"device":"CUDA0","threads":3,"isDisturbed":false,'
                echo '"speed":{"weightReadBytesPerSecond":1e9,"rowCosts":[]}}'
                """#)
            let figures = try await DeviceProbe.survey(path, device: "CUDA0", threads: 3).get()
            #expect(figures.device == "CUDA0" && figures.threads == 3 && figures.speed.weightReadBytesPerSecond == 1e9)
        }
    }

    @Test func `measures this machine with the real program`() async throws {
        let figures = try await DeviceProbe.survey(
            try Fixture.executable(), device: nil, threads: 1, patience: .seconds(120)
        ).get()
        #expect(figures.isPlausible && figures.threads == 1)
        #expect(figures.speed.rowCosts.first?.type == "q8_0")
    }
}

@Suite struct `The benchmark of a device` {
    @Test func `begins nothing more when its time is over`() throws {
        let figures = try #require(
            DeviceBenchmark.survey(device: nil, threads: 1, budget: .zero, elapsed: { .seconds(1) }))
        #expect(figures.speed.rowCosts.map(\.type) == ["q8_0"])
        #expect(figures.speed.prefillOperationsPerSecond == nil && figures.speed.attentionOperationsPerSecond == nil)
        #expect(figures.isPlausible)
    }

    @Test func `measures prompts, attention and more types while there is time`() throws {
        let figures = try #require(DeviceBenchmark.survey(device: nil, threads: 1, elapsed: { .zero }))
        #expect(figures.speed.rowCosts.map(\.type) == ["q8_0", "q4_K", "q6_K", "f16"])
        #expect(figures.speed.prefillOperationsPerSecond != nil && figures.speed.attentionOperationsPerSecond != nil)
        #expect(figures.isPlausible)
    }

    @Test func `of a device that is not there tells nothing`() {
        #expect(DeviceBenchmark.survey(device: "Missing7", threads: 1) == nil)
    }
}
