import ArgumentParser
import Etcd
import Node
import Testing
import Vocabulary

@testable import skein

@Suite struct `The command line of a cluster` {
    // MARK: Which node

    @Test(arguments: [
        ("http://127.0.0.1:7534", "http://127.0.0.1:7534"), ("10.0.0.1:80", "http://10.0.0.1:80"),
        ("HTTPS://host/skein//", "https://host/skein"), ("[::1]:7534", "http://[::1]:7534"),
        ("host", "http://host:7534"),
        ("[::1]", "http://[::1]:7534"), ("host/skein", "http://host:7534/skein"), ("http://host", "http://host"),
    ])
    func `a node is named by a URL, or by host and perhaps port`(text: String, url: String) throws {
        #expect(try NodeAddress(text).description == url)
    }

    @Test(arguments: [
        "", "ftp://host", "http://", "http://:80", "http://host:0", "http://host:99999", "http://host:", "http://a b",
        "http://user@host", "http://host?x", "http://[::1", "http://[::1]x", "http://host\n", "http://höst",
        "http:///x",
    ])
    func `what is no URL of a node is refused with an example`(text: String) {
        do {
            _ = try NodeAddress(text)
            Issue.record("'\(text)' is taken")
        } catch {
            #expect(error.description.contains("as in http://127.0.0.1:7534"))
        }
        #expect(throws: NodeAddressError.tooLong(1025)) { try NodeAddress(String(repeating: "a", count: 1025)) }
    }

    @Test func `an option counts before the environment, and that before the standard`() throws {
        let environment = ["SKEIN_NODE": "host:1", "SKEIN_API_KEY": "sk-env"]
        let said = try NodeOptions.parse(["--node", "host:2", "--api-key", "sk-said"])
        #expect(try said.settings(environment: environment).address.description == "http://host:2")
        #expect(try said.settings(environment: environment).key == "sk-said")
        let silent = try NodeOptions.parse([])
        #expect(try silent.settings(environment: environment).address.description == "http://host:1")
        #expect(try silent.settings(environment: environment).key == "sk-env")
        #expect(try silent.settings(environment: [:]).address.description == NodeAddress.standard)
        #expect(try silent.settings(environment: ["SKEIN_NODE": "", "SKEIN_API_KEY": ""]).key == nil)
        #expect(throws: ValidationError.self) { try silent.settings(environment: ["SKEIN_NODE": "a b"]) }
        #expect(throws: ValidationError.self) { try silent.settings(environment: ["SKEIN_API_KEY": "a\r\nb: c"]) }
        #expect(throws: (any Error).self) { try NodeOptions.parse(["--api-key", ""]) }
    }

    // MARK: Coordinator

    private func settings(_ arguments: [String], _ environment: [String: String] = [:]) throws -> ClusterSettings {
        var settings = ClusterSettings()
        try CoordinatorOptions.parse(arguments).apply(to: &settings, environment: environment)
        return settings
    }

    @Test func `the nodes lead by themselves unless an etcd is named`() throws {
        #expect(try settings([]).coordinator == nil)
        #expect(try settings(["--coordinator", "embedded"], ["SKEIN_COORDINATOR": "etcd://a"]).coordinator == nil)
        let environment = ["SKEIN_COORDINATOR": "etcd://me@a,b:4001/fleet", "SKEIN_ETCD_PASSWORD": "secret"]
        let named = try #require(try settings([], environment).coordinator)
        #expect(named.description == "etcd://a:2379,b:4001/fleet")
        #expect(named.password == "secret")
        #expect(try settings(["--coordinator", "etcd://c", "--seed-coordinator"], environment).seedsCoordinator)
    }

    @Test(arguments: [
        (["--coordinator", "http://a:2379"], "etcd://HOST:PORT"), (["--coordinator", "etcd://a:x"], "'a:x'"),
        (["--seed-coordinator"], "--coordinator etcd://"), (["--coordinator-ca", "/x"], "--coordinator etcd://"),
        (["--coordinator", "etcds://a", "--coordinator-ca", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
    ])
    func `what is no coordinator is refused with an example`(arguments: [String], part: String) throws {
        do {
            _ = try settings(arguments)
            Issue.record("\(arguments) are taken")
        } catch {
            #expect("\(error)".contains(part), "\(error)")
        }
    }

    @Test func `a machine is meant by its id, its name or the beginning of its id`() throws {
        var nodes = try Sample.cluster().nodes
        let (alpha, beta, gate) = (nodes[0].id, nodes[1].id, nodes[2].id)
        for (text, id) in [
            (alpha, alpha), ("00000000000000A1", alpha), ("beta", beta), ("c3", gate), ("C", gate),
            ("00000000000000b", beta),
        ] {
            #expect(try NodeName.resolve(text, among: nodes) == id, "\(text)")
        }
        #expect(throws: NodeNameError.ambiguous("0", [alpha, beta])) { try NodeName.resolve("0", among: nodes) }
        for text in ["", "delta", "Beta", "c4"] {
            #expect(throws: NodeNameError.unknown(text)) { try NodeName.resolve(text, among: nodes) }
        }
        // A name that is the beginning of another one's id is the name; a name of two is of none.
        nodes[1].name = "c3"
        #expect(try NodeName.resolve("c3", among: nodes) == beta)
        nodes[0].name = "c3"
        #expect(throws: NodeNameError.ambiguous("c3", [alpha, beta])) { try NodeName.resolve("c3", among: nodes) }
    }

    // MARK: Which model

    @Test(arguments: [
        ("m.gguf", "/data/m.gguf", "m"), ("./sub//m.GGUF", "/data/sub/m.GGUF", "m"),
        ("/abs/x.gguf", "/abs/x.gguf", "x"),
        ("../up.gguf", "/data/../up.gguf", "up"), ("plain", "/data/plain", "plain"),
    ])
    func `a file here is sent by its absolute path and named by itself`(text: String, model: String, name: String) {
        let read = ModelName(text, folder: "/data") { $0 == model }
        #expect(read.model == model)
        #expect(read.name == name)
    }

    @Test func `what is no file here goes as it is`() {
        for text in ["org/repo:Q4", "tiny", "m.gguf", ""] {
            let read = ModelName(text, folder: "/data") { _ in false }
            #expect(read.model == text)
            #expect(read.name == nil)
        }
        let elsewhere = ModelName("/there/m.gguf", folder: "/data") { _ in false }
        #expect(elsewhere.model == "/there/m.gguf")
        #expect(elsewhere.name == "m")
    }

    @Test func `a deployment asks for what was said and leaves the rest to the cluster`() throws {
        #expect(String(decoding: DeployWish(model: "m").body, as: UTF8.self) == #"{"model":"m"}"#)
        let wish = DeployWish(
            model: "a\"b", name: "n", replicas: 2, context: 4096, lanes: 3, pinned: ["a1"], excluded: ["b2", "c3"],
            tags: ["llama-cuda"], preferredTags: ["llama-metal"], keepAliveSeconds: 1800, draft: "ngram",
            projector: "/data/mmproj.gguf", cacheTypeK: .q8_0, cacheTypeV: .f16)
        #expect(
            String(decoding: wish.body, as: UTF8.self)
                == #"{"model":"a\"b","name":"n","draft":"ngram","projector":"/data/mmproj.gguf","#
                + #""cache_type_k":"q8_0","cache_type_v":"f16","replicas":2,"#
                + #""context_tokens":4096,"lanes":3,"#
                + #""keep_alive_seconds":1800,"pinned":["a1"],"excluded":["b2","c3"],"required_tags":["llama-cuda"],"#
                + #""preferred_tags":["llama-metal"]}"#)
        #expect(PathPart.of("org/a b:Q4_0-x.~ü") == "org%2Fa%20b%3AQ4_0-x.~%C3%BC")
    }

    // MARK: Parsing

    private static func parse<Command: ParsableCommand>(_ type: Command.Type, _ words: [String]) throws -> Command {
        try #require(try Skein.parseAsRoot(CommandWords.read(words)) as? Command)
    }

    @Test func `the value of --wait may be left out, and is a number beside a model`() throws {
        #expect(try Self.parse(Deploy.self, ["deploy", "m"]).wait == nil)
        for words in [["deploy", "--wait", "m"], ["deploy", "m", "--wait"], ["deploy", "m", "--wait", "--json"]] {
            #expect(try Self.parse(Deploy.self, words).wait == ClientLimits.waitDefaultSeconds)
        }
        for words in [
            ["deploy", "--wait", "600", "m"], ["deploy", "m", "--wait", "600"],
            ["deploy", "--json", "m", "--name", "n", "--wait", "600"],
        ] {
            let deploy = try Self.parse(Deploy.self, words)
            #expect(deploy.wait == 600)
            #expect(deploy.model == "m")
        }
        // A model may be called as a number.
        let numbered = try Self.parse(Deploy.self, ["deploy", "--name", "n", "--wait", "5"])
        #expect(numbered.wait == ClientLimits.waitDefaultSeconds)
        #expect(numbered.model == "5")
        let other = try Self.parse(Deploy.self, ["deploy", "--wait=7", "--", "--wait"])
        #expect(other.wait == 7)
        #expect(other.model == "--wait")
    }

    @Test func `the line that token create prints is taken behind the words it begins with`() throws {
        #expect(try Self.parse(Join.self, ["join", "skein", "join", "skein1:x"]).ticket == "skein1:x")
        #expect(try Self.parse(Join.self, ["join", "skein1:x"]).ticket == "skein1:x")
        #expect(try Self.parse(Join.self, ["join"]).ticket == nil)
    }

    @Test func `options of a deployment are read`() throws {
        let deploy = try Self.parse(
            Deploy.self,
            [
                "deploy", "m", "--name", "n", "--replicas", "2", "--ctx", "4096", "--lanes", "3", "--pin", "a", "--pin",
                "b", "--exclude", "c", "--tag", "t", "--keep-alive", "30m", "--node", "host:1",
            ])
        #expect(deploy.pinned == ["a", "b"])
        #expect(deploy.excluded == ["c"])
        #expect(deploy.tags == ["t"])
        #expect(deploy.keepAlive?.seconds == 1800)
        #expect(deploy.options.node.node == "host:1")
        #expect(try Self.parse(Deploy.self, ["deploy", "m", "--mmproj", "eyes"]).mmproj == "eyes")
        #expect(["auto", "off", "no such file"].map(DeployWish.projector) == ["auto", "off", "no such file"])
        let token = try Self.parse(TokenCreate.self, ["token", "create", "--uses", "3", "--worker"])
        #expect(token.ttl == .day)
        #expect(token.uses == 3)
        #expect(try Self.parse(TokenCreate.self, ["token", "create", "--ttl", "2h"]).ttl.seconds == 7200)
    }

    @Test(arguments: [
        ["deploy"], ["deploy", "m", "--wait=0"], ["deploy", "m", "--wait=601"], ["deploy", "m", "--wait=x"],
        ["serve", "--draft", "/nowhere/m.gguf"], ["plan", "m", "--draft", "/nowhere/m.gguf"],
        ["deploy", "m", "--wait", "x"], ["deploy", "m", "--replicas", "0"], ["deploy", "m", "--ctx", "-1"],
        ["deploy", "m", "--keep-alive", "5"], ["nodes", "--node", "ftp://x"], ["nodes", "--api-key", "a b"],
        ["serve", "--alone", "--cluster-listen", "10.0.0.1:7535"], ["serve", "--alone", "--tag", "gpu"],
        ["serve", "--listen", "here"], ["join", "--listen", "here:x"], ["serve", "--log-level", "loud"],
        ["drain"], ["remove"], ["undeploy"], ["token", "create", "--uses", "0"],
        ["token", "create", "--ttl", "forever"],
        ["token", "revoke"], ["plan", "--on-cluster"], ["plan", "m", "--node", "host:1"],
        ["plan", "m", "--on-cluster", "--stages", "2"], ["plan", "m", "--on-cluster", "--nodes", "file"],
    ])
    func `what cannot be meant is an error of usage`(words: [String]) {
        do {
            _ = try Skein.parseAsRoot(CommandWords.read(words))
            Issue.record("taken: \(words)")
        } catch {
            #expect(Skein.exitCode(for: error) == .validationFailure)
        }
    }

    @Test(arguments: [("1s", 1), ("90m", 5400), ("24h", 86_400), ("30d", 2_592_000), ("36500d", 3_153_600_000)])
    func `a length of time is a number with its unit`(text: String, seconds: Int64) throws {
        let span = try #require(TimeSpan(argument: text))
        #expect(span.seconds == seconds)
        #expect(TimeSpan(argument: span.defaultValueDescription) == span)
    }

    @Test(arguments: ["", "s", "5", "0s", "-1h", "1.5h", "1w", "36501d", "9223372036854775807d", "1 h"])
    func `a length of time that is none is refused`(text: String) { #expect(TimeSpan(argument: text) == nil) }

    // MARK: Measuring

    @Test func `a node measures its device unless it is told not to`() throws {
        #expect(try ClusterOptions.parse([]).settings.measuresDevice)
        #expect(try !ClusterOptions.parse(["--no-benchmark"]).settings.measuresDevice)
    }

    @Test(arguments: [["--threads", "2"], ["--keep"], ["--device", "CPU"], ["--speed", "--threads", "0"]])
    func `what belongs to measuring a device goes with it`(arguments: [String]) {
        #expect(throws: (any Error).self) { try Devices.parse(arguments) }
    }
}
