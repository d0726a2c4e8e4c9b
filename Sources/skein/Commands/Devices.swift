import ArgumentParser
import FoundationEssentials
import LlamaEngine
import Node
import Vocabulary

/// `skein devices`.
struct Devices: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: DeviceProbe.command, abstract: "List what the engine can compute on here.",
        discussion: "The names are those that --device takes.")

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let devices = EngineDevices.all()
        if json {
            Output.line(String(decoding: try JSONEncoder().encode(devices), as: UTF8.self))
            return
        }
        let rows = devices.map { device in
            [device.name, device.compute, device.totalBytes.map { "\(ByteCount($0))" } ?? "?", device.about]
        }
        for line in TextTable(titles: ["NAME", "COMPUTE", "MEMORY", "WHAT"], rows: rows).lines { Output.line(line) }
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
