import ArgumentParser
import FoundationEssentials
import LlamaEngine
import Node
import Placement
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `skein devices`.
struct Devices: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: DeviceProbe.command, abstract: "List what the engine can compute on here.",
        discussion: "The names are those that --device takes.")

    @Flag(help: "Measure how fast one of them is, which takes about a second.")
    var speed = false

    @Option(help: "With --speed: the device. Default: the first one that layers are moved to, or the processor.")
    var device: String?

    @Option(help: "With --speed: threads of the processor. Default: all cores.")
    var threads: Int?

    @Flag(help: "With --speed: keep the figures for 'skein plan' and the next start of a node.")
    var keep = false

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if !speed, device != nil || threads != nil || keep {
            throw ValidationError("--device, --threads and --keep go with --speed.")
        }
        _ = try EngineOptions.checked(threads: threads)
    }

    func run() throws {
        let devices = EngineDevices.all()
        if speed { return try measure(among: devices) }
        if json {
            Output.line(String(decoding: try JSONEncoder().encode(devices), as: UTF8.self))
            return
        }
        let rows = devices.map { device in
            [device.name, device.compute, device.totalBytes.map { "\(ByteCount($0))" } ?? "?", device.about]
        }
        for line in TextTable(titles: ["NAME", "COMPUTE", "MEMORY", "WHAT"], rows: rows).lines { Output.line(line) }
    }

    private func measure(among devices: [EngineDevice]) throws {
        let offload = devices.filter(\.isOffload).map(\.name)
        if let device, !offload.contains(device), !EngineDevices.isHost(device) {
            Output.error("There is no device '\(device)' here; 'skein devices' lists those there are.")
            throw ExitCode(2)
        }
        let measured = device.map { EngineDevices.isHost($0) ? nil : $0 } ?? offload.first
        let threads = threads ?? MachineInventory.coreCount
        // Whoever else computes goes first; a figure that was disturbed says so.
        _ = nice(19)
        guard let figures = DeviceBenchmark.survey(device: measured, threads: threads) else {
            Output.error("\(measured ?? "The processor") cannot be measured: the engine computed nothing on it.")
            throw ExitCode(1)
        }
        if keep {
            let fingerprint = MachineFingerprint.thisMachine(devices: devices, device: measured, threads: threads)
            do {
                try DeviceFigureFile(dataFolder: Folders.data).remember(figures, of: fingerprint)
            } catch {
                Output.error("The figures are not kept: \(error)")
                throw ExitCode(1)
            }
        }
        if json {
            Output.line(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
        } else {
            for line in Self.lines(figures) { Output.line(line) }
        }
    }

    /// Figures as text.
    static func lines(_ figures: DeviceFigures) -> [String] {
        func operations(_ rate: Double?) -> String { rate.map { "\(PlanText.rounded($0 / 1e9)) GFLOP/s" } ?? "?" }
        let threads = figures.device == nil ? ", \(figures.threads) thread\(figures.threads == 1 ? "" : "s")" : ""
        var lines = ["\(figures.device ?? "CPU")\(threads)"]
        let rows =
            figures.speed.rowCosts.map { cost in
                ["weights in \(cost.type)", PlanText.rate(1e12 / cost.millisecondsPerGigabyte)]
            } + [
                ["prompts", operations(figures.speed.prefillOperationsPerSecond)],
                ["attention of a token", operations(figures.speed.attentionOperationsPerSecond)],
            ]
        lines += TextTable(titles: ["WHAT", "RATE"], rows: rows, indent: 2).lines
        if figures.isDisturbed { lines.append("Others computed meanwhile, so it may be faster than this.") }
        return lines
    }
}

/// Where stages compute.
struct DeviceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Devices to move layers to, with commas; 'none' computes on the CPU. 'skein devices' lists them. Default: \
            all.
            """, valueName: "names"))
    var device: String?

    /// The names; nil when the engine decides.
    var names: [String]? {
        device.map { text in
            text.split(separator: ",").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
        }
    }
}
