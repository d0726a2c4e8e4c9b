import Dialects
import Testing

@testable import skein

@Suite struct `Events as text` {
    private static func lines(_ name: String, _ data: String) throws -> [String] {
        var screen = WatchText(isJSON: false)
        _ = try screen.lines(ServerEvent(name: "state", data: Sample.state, id: "42-7"))
        return try screen.lines(ServerEvent(name: name, data: data, id: "42-8"))
    }

    private static let beta = #""id":"00000000000000b2","name":"beta","addresses":["10.0.0.2:7535"]"#
    private static let tags = #""tags":["llama-cpu","llama-cuda"],"role":"full""#

    @Test(arguments: [
        (
            "leadership", #"{"term":4,"leader":"00000000000000b2","degraded":false,"voters":["00000000000000b2"]}"#,
            ["beta leads in term 4", "voters are beta"]
        ),
        (
            "leadership",
            #"{"term":4,"degraded":true,"voters":["00000000000000a1","00000000000000b2"]}"#,
            ["nobody leads", ClusterText.degraded]
        ),
        (
            "node", "{\(beta),\(tags),\"draining\":false,\"liveness\":\"dead\"}",
            ["node beta is dead", "node beta no longer drains"]
        ),
        ("node", "{\(beta),\(tags),\"draining\":true,\"liveness\":\"suspect\",\"usable_bytes\":7}", []),
        ("node", "{\(beta),\"draining\":true,\"liveness\":\"suspect\"}", ["node beta has new particulars"]),
        ("node", #"{"id":"dd00000000000000","name":"delta","liveness":"alive"}"#, ["node delta joined"]),
        ("node_removed", #"{"id":"c300000000000000"}"#, ["node gate is removed"]),
        (
            "deployment", #"{"name":"new","model":"m","state":"pending","reason":"No memory.","placements":[]}"#,
            ["new: pending, 1 replica of m: No memory."]
        ),
        (
            "deployment",
            #"{"name":"tiny","model":"skein-tiny","replicas":1,"state":"ready","#
                + #""placements":[{"epoch":"3/2","replica":0,"phase":"canary","stages":["#
                + #"{"node":"00000000000000a1","first_layer":0,"end_layer":8,"bytes":1}]}]}"#,
            ["tiny: replica 0, epoch 3/2, canary on alpha"]
        ),
        ("deployment_removed", #"{"name":"tiny"}"#, ["deployment tiny is gone"]),
        (
            "warnings", #"{"warnings":["W\u001b"]}"#,
            ["warning: W\u{FFFD}", "no longer: The disk of beta is nearly full."]
        ),
        ("setting", #"{"name":"x","value":"y"}"#, []), ("event of a later version", "{}", []),
    ])
    func `each event is worth its lines`(name: String, data: String, lines: [String]) throws {
        #expect(try Self.lines(name, data) == lines)
    }

    @Test func `the first event is the whole status, and the same news are told once`() throws {
        var screen = WatchText(isJSON: false)
        #expect(try screen.lines(ServerEvent(name: "node_removed", data: #"{"id":"x"}"#)) == [])
        let state = ServerEvent(name: "state", data: Sample.state)
        #expect(try screen.lines(state) == ClusterText.status(Sample.cluster()))
        let gone = ServerEvent(name: "leadership", data: #"{"term":4,"voters":[]}"#)
        #expect(try screen.lines(gone) == ["nobody leads", "nobody votes"])
        #expect(try screen.lines(gone) == [])
    }

    @Test func `as JSON an event is one line, untouched`() throws {
        var screen = WatchText(isJSON: true)
        let lines = try screen.lines(ServerEvent(name: "node", data: #"{"id": 1, "x":[ ]}"#, id: "42-1"))
        #expect(lines == [#"{"event":"node","id":"42-1","data":{"id": 1, "x":[ ]}}"#])
    }

    @Test(arguments: [("node", "{"), ("state", "{}"), ("node", "{}"), ("deployment_removed", "[]"), ("warnings", "{}")])
    func `an event that is none is said to be so`(name: String, data: String) {
        #expect(throws: MissingField.self) { try Self.lines(name, data) }
    }
}

@Suite struct `A stream of events` {
    private static let stream = "\u{FEFF}: hello\r\nid: 1\nevent: a\ndata: x\n\ndata:y\rdata: z\r\rid\n\ndata\n\n"
    private static let events = [
        ServerEvent(name: "a", data: "x", id: "1"), ServerEvent(name: "message", data: "y\nz", id: "1"),
        ServerEvent(name: "message", data: "", id: nil),
    ]

    @Test func `is read the same wherever its bytes are cut`() throws {
        let bytes = Array(Self.stream.utf8)
        for size in 1...bytes.count {
            var reader = ServerEventReader(limit: 100)
            var events: [ServerEvent] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                events += try reader.read(bytes[start..<min(start + size, bytes.count)])
            }
            #expect(events == Self.events, "\(size)")
        }
    }

    @Test func `has events and lines of a length that is bounded`() throws {
        var lines = ServerEventReader(limit: 10)
        #expect(throws: ServerEventReader.TooLong.self) { try lines.read("data: 456789012".utf8) }
        var events = ServerEventReader(limit: 10)
        #expect(throws: ServerEventReader.TooLong.self) { try events.read("data:123\ndata:456\n".utf8) }
        var small = ServerEventReader(limit: 10)
        #expect(try small.read("data:123\n\ndata:456\n\n".utf8).count == 2)
    }
}
