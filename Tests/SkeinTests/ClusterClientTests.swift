import Synchronization
import Testing

@testable import skein

@Suite(.timeLimit(.minutes(1))) struct `The client of a node` {
    private static func settings(
        _ address: NodeAddress, key: String? = nil, watching: Bool = false,
        _ change: (inout ClientLimits) -> Void = { _ in }
    ) -> ClusterClient.Settings {
        var limits = ClientLimits()
        change(&limits)
        return ClusterClient.Settings(address: address, key: key, limits: limits, isWatching: watching)
    }

    /// What becomes of one question to a server that answers so.
    private static func outcome(
        _ reply: ScriptedServer.Reply, key: String? = nil, _ change: @escaping (inout ClientLimits) -> Void = { _ in }
    ) async throws -> ClusterClientError? {
        var outcome: ClusterClientError?
        try await ScriptedServer.with({ _, _ in reply }) { server in
            try await ClusterClient.with(settings(server.address, key: key, change)) { client in
                do throws(ClusterClientError) {
                    _ = try await client.get("/cluster/v1/state")
                } catch {
                    outcome = error
                }
            }
        }
        return outcome
    }

    @Test func `asks with its key, and gives the body as it came`() async throws {
        let body = #"{"nodes": [ ], "x":1e0}"#
        try await ScriptedServer.with({ _, _ in .of("200 OK", body) }) { server in
            try await ClusterClient.with(Self.settings(server.address, key: "sk-1")) { client in
                #expect(try await client.get("/cluster/v1/nodes").text == body)
                _ = try await client.send(.post, "/cluster/v1/plan", body: Array("{}".utf8))
            }
            let requests = server.requests
            #expect(requests[0].hasPrefix("GET /cluster/v1/nodes HTTP/1.1\r\n"))
            #expect(requests[0].contains("\r\nAuthorization: Bearer sk-1\r\n"))
            #expect(requests[1].hasPrefix("POST /cluster/v1/plan HTTP/1.1\r\n"))
            #expect(requests[1].hasSuffix("\r\n\r\n{}"))
        }
    }

    @Test func `says that no node answers at a closed port, and what to do`() async throws {
        let address = try NodeAddress("127.0.0.1:\(try await ScriptedServer.closedPort())")
        var said: ClusterClientError?
        try await ClusterClient.with(Self.settings(address)) { client in
            do throws(ClusterClientError) { _ = try await client.get("/cluster/v1/state") } catch { said = error }
        }
        #expect(said == .unreachable("\(address)", reason: "connection refused"))
        #expect(said?.exitCode == 3)
        #expect(said?.description.contains("skein serve") == true)
    }

    @Test func `says that a name is nobody's`() async throws {
        let address = try NodeAddress("http://nobody.invalid:1")
        await #expect(throws: ClusterClientError.self) {
            try await ClusterClient.with(Self.settings(address)) { _ = try await $0.get("/") }
        }
    }

    @Test(arguments: [
        (nil as String?, "401 Unauthorized", ClusterClientError.keyMissing("N")),
        ("k", "401 Unauthorized", .keyRefused("N", message: "No.")),
        (nil, "403 Forbidden", .keyRefused("N", message: "No.")),
        ("k", "403 Forbidden", .keyRefused("N", message: "No.")),
        (nil, "404 Not Found", .noCluster("N")),
    ])
    func `tells what access and routes lack`(key: String?, status: String, expected: ClusterClientError) async throws {
        let reply = ScriptedServer.Reply.of(status, #"{"error":{"message":"No.","type":"t","code":"c"}}"#)
        let outcome = try #require(try await Self.outcome(reply, key: key))
        #expect(outcome.exitCode == 1)
        #expect(Self.withoutNode(outcome) == Self.withoutNode(expected))
    }

    private static func withoutNode(_ error: ClusterClientError) -> ClusterClientError {
        switch error {
        case .keyMissing: .keyMissing("")
        case .keyRefused(_, let message): .keyRefused("", message: message)
        case .noCluster: .noCluster("")
        case .foreign(_, let finding): .foreign("", finding: finding)
        case .cut: .cut("")
        default: error
        }
    }

    @Test func `shows a refusal of the cluster by its message alone`() async throws {
        let reply = ScriptedServer.Reply.of(
            "404 Not Found", #"{"error":{"code":"not_found","message":"No deployment\u001b is named 'm'."}}"#)
        let outcome = try await Self.outcome(reply)
        #expect(outcome == .refused(status: 404, code: "not_found", message: "No deployment\u{FFFD} is named 'm'."))
        #expect(outcome?.description == "No deployment\u{FFFD} is named 'm'.")
    }

    @Test(arguments: [
        ("500 Internal Server Error", "<html>no</html>"), ("502 Bad Gateway", ""), ("200 OK", "<html>"),
        ("200 OK", "[]"),
        ("301 Moved", ""), ("404 Not Found", "<html>"), ("401 Unauthorized", "<html>"), ("200 OK", "{\"a\":1"),
    ])
    func `takes what is no node for none`(status: String, body: String) async throws {
        let outcome = try await Self.outcome(.of(status, body, type: "text/html"))
        guard case .foreign(_, let finding) = try #require(outcome) else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(finding.contains(status.prefix(3)))
    }

    @Test func `takes what is no HTTP for no node`() async throws {
        let outcome = try await Self.outcome(.init(bytes: "220 mail ready\r\n"))
        guard case .foreign = try #require(outcome) else {
            Issue.record("\(String(describing: outcome))")
            return
        }
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"a\":", "HTTP/1.1 200 OK\r\nConte"])
    func `says that a connection was cut, and that the command may have been carried out`(bytes: String) async throws {
        let outcome = try #require(try await Self.outcome(.init(bytes: bytes)))
        #expect(Self.withoutNode(outcome) == .cut(""))
        #expect(outcome.description.contains("skein status"))
    }

    @Test(arguments: [
        ScriptedServer.Reply.silence,
        .init(bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", closes: false),
    ])
    func `does not wait for ever`(reply: ScriptedServer.Reply) async throws {
        let outcome = try #require(try await Self.outcome(reply) { $0.patience = .milliseconds(50) })
        guard case .slow(_, seconds: 0) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(outcome.exitCode == 1)
    }

    @Test func `takes no answer that is too long`() async throws {
        let reply = ScriptedServer.Reply.of("200 OK", "{\"a\":\"" + String(repeating: "x", count: 5000) + "\"}")
        let outcome = try await Self.outcome(reply) { $0.answerBytes = 4000 }
        guard case .tooLong(_, limit: 4000) = try #require(outcome) else {
            Issue.record("\(String(describing: outcome))")
            return
        }
    }

    // MARK: Events

    /// What a watcher gets from servers that answer its requests in turn, until it has so many events or gives up.
    private static func watch(
        _ replies: [ScriptedServer.Reply], until count: Int, _ change: @escaping (inout ClientLimits) -> Void = { _ in }
    ) async throws -> (ids: [String?], asked: [String?], pauses: [Duration], lost: Int, error: ClusterClientError?) {
        struct Enough: Error {}
        let pauses = Mutex<[Duration]>([])
        var ids: [String?] = []
        var asked: [String?] = []
        var lost = 0
        var error: ClusterClientError?
        try await ScriptedServer.with({ place, _ in replies[min(place, replies.count - 1)] }) { server in
            try await ClusterClient.with(settings(server.address, watching: true, change)) { client in
                let watch = ClusterWatch(client: client) { time in
                    pauses.withLock { $0.append(time) }
                    if ids.count >= count { throw Enough() }
                }
                do throws(ClusterClientError) {
                    try await watch.run { _ in
                        lost += 1
                    } _: { event in
                        ids.append(event.id)
                    }
                } catch let failure {
                    error = failure
                }
            }
            asked = server.requests.map { request in
                request.split(separator: "\r\n").first { $0.hasPrefix("Last-Event-ID: ") }.map {
                    String($0.dropFirst(15))
                }
            }
        }
        return (ids, asked, pauses.withLock { $0 }, lost, error)
    }

    @Test func `a stream that is cut goes on behind the last event that was seen`() async throws {
        let seen = try await Self.watch(
            [
                .events("id: 42-1\nevent: state\ndata: {}\n\nid: 42-2\nevent: node\ndata: {}\n\nid: 42-3\nda"),
                .hangUp, .events(": nothing new\n\n"), .events("id: 42-3\nevent: node\ndata: {}\n\n"),
            ], until: 3)
        #expect(seen.ids == ["42-1", "42-2", "42-3"])
        #expect(seen.asked == [nil, "42-2", "42-2", "42-2"])
        #expect(seen.error == nil)
        #expect(seen.lost == 4)
        // Longer each time it is in vain, and from the beginning after an event.
        #expect(seen.pauses == [.milliseconds(250), .milliseconds(500), .seconds(1), .milliseconds(250)])
    }

    @Test func `a silent stream is asked for again without a word`() async throws {
        let seen = try await Self.watch(
            [.events("id: 1\ndata: {}\n\n", closes: false), .events("id: 2\ndata: {}\n\n")], until: 2
        ) { $0.silence = .seconds(1) }
        #expect(seen.ids == ["1", "2"])
        #expect(seen.asked == [nil, "1"])
        // The end of the second stream.
        #expect(seen.lost == 1)
    }

    @Test func `a node that stays away is given up, one that was never there at once`() async throws {
        let gone = try await Self.watch([.events("id: 1\ndata: {}\n\n"), .hangUp], until: 9) { $0.retries = 3 }
        #expect(gone.ids == ["1"])
        #expect(gone.asked.count == 4)
        guard case .cut = try #require(gone.error) else {
            Issue.record("\(gone)")
            return
        }
        let never = try await Self.watch([.hangUp], until: 9)
        #expect(never.asked.count == 1)
        #expect(never.pauses.isEmpty)
        #expect(never.error?.mayPass == true)
    }

    @Test func `a refusal ends the watch, unless it is one of too much at once`() async throws {
        let busy = #"{"error":{"code":"overloaded","message":"Too many."}}"#
        let seen = try await Self.watch(
            [
                .events("id: 1\ndata: {}\n\n"), .of("503 Service Unavailable", busy),
                .of("401 Unauthorized", #"{"error":{"message":"No."}}"#),
            ], until: 9)
        #expect(seen.asked.count == 3)
        guard case .keyMissing = try #require(seen.error) else {
            Issue.record("\(seen)")
            return
        }
        for reply in [ScriptedServer.Reply.of("200 OK", "{}"), .of("204 No Content", "")] {
            guard case .foreign = try #require(try await Self.watch([reply], until: 9).error) else {
                Issue.record("\(reply)")
                return
            }
        }
    }
}
