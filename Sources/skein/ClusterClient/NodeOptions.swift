import ArgumentParser
import Dialects
import FoundationEssentials

/// Which node a command asks, and as whom.
struct NodeOptions: ParsableArguments {
    @Option(help: "URL of the node to ask. Default: SKEIN_NODE, or \(NodeAddress.standard).")
    var node: String?

    @Option(help: "API key. Default: SKEIN_API_KEY, which others on this machine cannot see in its list of processes.")
    var apiKey: String?

    func validate() throws { _ = try settings(environment: ProcessInfo.processInfo.environment) }

    /// What was said, else what the environment says, else the node of this machine.
    ///
    /// **Throws:** `ValidationError`.
    func settings(environment: [String: String]) throws(ValidationError) -> ClusterClient.Settings {
        func said(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let address: NodeAddress
        do {
            address = try NodeAddress(node ?? said("SKEIN_NODE") ?? NodeAddress.standard)
        } catch {
            throw ValidationError(error.description)
        }
        let key = apiKey ?? said("SKEIN_API_KEY")
        if let key,
            key.isEmpty || key.utf8.count > ClientLimits.settingBytes
                || !key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        {
            throw ValidationError("--api-key is no key; it takes 1 … \(ClientLimits.settingBytes) letters of ASCII.")
        }
        return ClusterClient.Settings(address: address, key: key)
    }

    /// Calls `body` with a client; what the node refuses is said and ends the program.
    func ask(watching: Bool = false, _ body: (ClusterClient) async throws -> Void) async throws {
        var settings = try settings(environment: ProcessInfo.processInfo.environment)
        settings.isWatching = watching
        do {
            try await ClusterClient.with(settings, body)
        } catch let error as ClusterClientError {
            Output.error("\(error)")
            throw ExitCode(error.exitCode)
        }
    }
}

/// A command that shows what a node answers.
struct ReadOptions: ParsableArguments {
    @OptionGroup var node: NodeOptions

    @Flag(help: "Print the JSON of the API as it is.")
    var json = false

    /// Asks one question and prints its answer, as it is or by `text`.
    func show(
        _ path: String, text: (ClusterClient) async throws -> [String]
    ) async throws {
        try await node.ask { client in
            if json {
                Output.line(try await client.get(path).text)
            } else {
                for line in try await text(client) { Output.line(line) }
            }
        }
    }
}

extension ClusterClient {
    /// Everything the node knows.
    func state() async throws(ClusterClientError) -> SeenCluster {
        let answer = try await get("/cluster/v1/state")
        return try reading { () throws(MissingField) in try SeenCluster(answer.json) }
    }

    /// What the node serves by itself, deployments aside; nothing when the key is not for its models.
    func ownModels(beside cluster: SeenCluster) async throws(ClusterClientError) -> [SeenModel] {
        let answer: ClusterAnswer
        do {
            answer = try await get("/v1/models")
        } catch .keyRefused {
            return []
        }
        let deployed = Set(cluster.deployments.map(\.name))
        return try reading { () throws(MissingField) in try SeenModel.list(answer.json) }
            .filter { $0.state != "available" && !deployed.contains($0.name) }
    }

    /// Ids of the nodes that these texts mean; asks the node only when there are any.
    func ids(of texts: [String]) async throws(ClusterClientError) -> [String] {
        guard !texts.isEmpty else { return [] }
        return try Self.ids(of: texts, in: try await state())
    }

    static func ids(of texts: [String], in cluster: SeenCluster) throws(ClusterClientError) -> [String] {
        var ids: [String] = []
        for text in texts {
            do {
                ids.append(try NodeName.resolve(text, among: cluster.nodes))
            } catch {
                throw .node(error)
            }
        }
        return ids
    }

    /// What `read` finds in an answer of this node.
    func reading<Value>(_ read: () throws(MissingField) -> Value) throws(ClusterClientError) -> Value {
        do {
            return try read()
        } catch {
            throw .unreadable(settings.address.description, field: error.name)
        }
    }

    /// Sends a command, and says on standard error when it was decided without a majority.
    func command(
        _ method: Method, _ path: String, body: [UInt8]? = nil
    ) async throws(ClusterClientError) -> ClusterAnswer {
        let answer = try await send(method, path, body: body)
        if let warning = answer.json["warning"]?.string { Output.error(PrintableText.of(warning)) }
        return answer
    }
}

/// Parts of paths.
enum PathPart {
    /// A text as one part of a path, whatever letters it has.
    static func of(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { result, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"),
                UInt8(ascii: "."):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
