import Testing

@testable import skein

@Suite struct `A cluster as text` {
    @Test func `nodes stand in a table with what is known of them`() throws {
        #expect(
            ClusterText.nodes(try Sample.cluster()) == [
                "ID               NAME   STATE              VOTES   ROLE        MEMORY      "
                    + "         SPEED      TAGS                  ADDRESS",
                "00000000000000a  alpha  alive              leader  full        8.0 GiB of 1"
                    + "6.0 GiB  12.3 GB/s  llama-cpu             10.0.0.1:7535",
                "00000000000000b  beta   suspect, draining  voter   full        ?           "
                    + "         ?          llama-cpu,llama-cuda  10.0.0.2:7535",
                "c3000000         gate   dead               -       management  ?           "
                    + "         ?          -                     -",
            ])
    }

    @Test func `the status tells who decides, what is wrong, and each deployment with its stages`() throws {
        #expect(
            ClusterText.status(try Sample.cluster()) == [
                "cluster   5d0b00000000beef, seen by alpha",
                "leader    alpha, term 3",
                "voters    alpha, beta",
                "nodes     3, 1 alive, 1 suspect, 1 dead, 1 draining",
                "warning   The disk of beta is nearly full.",
                "",
                "tiny: ready, 1 replica of skein-tiny",
                "  replica 0, epoch 3/1, active, 2048 tokens, 4 lanes",
                "    STAGE  LAYERS  NODE   MEMORY",
                "    0      [0,4)   alpha  1.0 MiB",
                "    1      [4,8)   beta   2.0 MiB",
                "",
                "big: loading 41 %, 2 replicas of big: Stage 1 loads.",
            ])
    }

    @Test func `a cluster without leader, majority or deployments says so`() throws {
        var cluster = try Sample.cluster()
        cluster.leadership.leader = nil
        cluster.leadership.isDegraded = true
        cluster.leadership.voters = []
        cluster.cluster = nil
        cluster.deployments = []
        let lines = ClusterText.status(cluster)
        #expect(lines.prefix(3) == ["cluster   none yet, seen by alpha", "leader    nobody", "voters    -"])
        #expect(lines[4] == "degraded  \(ClusterText.degraded)")
        #expect(lines.last == "No deployment; make one with 'skein deploy'.")
    }

    @Test func `an etcd that gives the leadership is told`() throws {
        var cluster = try Sample.cluster()
        #expect(!ClusterText.status(cluster).contains { $0.contains("led by") })
        cluster.leadership.coordinator = "etcd://a:2379"
        #expect(ClusterText.status(cluster).contains("led by    etcd://a:2379"))
    }

    @Test func `what is loaded has a row per replica`() throws {
        var cluster = try Sample.cluster()
        #expect(
            ClusterText.loaded(cluster) == [
                "NAME  REPLICA  STATE   STAGES  CONTEXT  LANES  MEMORY   NODES",
                "tiny  0        active  2       2048     4      3.0 MiB  alpha, beta",
            ])
        cluster.deployments.removeFirst()
        #expect(ClusterText.loaded(cluster) == ["No deployment is loaded; 'skein deploy MODEL' makes one."])
        let own = [SeenModel(name: "here", state: "ready"), SeenModel(name: "b", state: "starting")]
        #expect(ClusterText.own(own, cluster) == ["", "alpha serves by itself: here (ready), b (starting)"])
        #expect(ClusterText.own([], cluster).isEmpty)
    }

    @Test func `ids are as short as they may be, and names of two nodes are told apart`() throws {
        #expect(ClusterText.shortIDs(["0123456789abcdef"]) == ["01234567"])
        #expect(
            ClusterText.shortIDs(["0123456789abcdef", "0123456780000000", "f000000000000000"]) == [
                "0123456789", "0123456780", "f0000000",
            ])
        var cluster = try Sample.cluster()
        cluster.nodes[1].name = "alpha"
        #expect(cluster.name(of: "00000000000000b2") == "alpha (00000000000000b2)")
        cluster.nodes[1].name = ""
        #expect(cluster.name(of: "00000000000000b2") == "00000000000000b2")
        #expect(cluster.name(of: "none") == "none")
    }

    @Test func `what others wrote cannot steer the terminal`() throws {
        var cluster = try Sample.cluster()
        cluster.nodes[0].name = "a\u{1B}[31m\nb"
        cluster.warnings = ["\u{202E}x\u{9B}y"]
        cluster.deployments[1].reason = "one\r\ntwo"
        let text = (ClusterText.nodes(cluster) + ClusterText.status(cluster) + ClusterText.loaded(cluster)).joined()
        for letter in ["\u{1B}", "\n", "\r", "\u{202E}", "\u{9B}"] { #expect(!text.contains(letter)) }
        #expect(text.contains("a\u{FFFD}[31m\u{FFFD}b"))
    }

    @Test func `tokens stand in a table with what is left of them`() throws {
        let json = #"""
            {"tokens":[
             {"id":"00000001","state":"valid","uses":3,"uses_left":2,"worker":true,"created":0,"expires":1090000},
             {"id":"00000002","state":"used_up","uses":1,"uses_left":0,"worker":false,"created":0,"expires":5}]}
            """#
        let tokens = try SeenToken.list(Sample.json(json))
        #expect(
            TokenText.list(tokens, now: 1_000_000) == [
                "ID        STATE    USES LEFT  FOR      ENDS IN",
                "00000001  valid    2 of 3     workers  25 h",
                "00000002  used up  0 of 1     members  -",
            ])
        #expect(TokenText.list([], now: 0) == ["There are no join tokens; make one with 'skein token create'."])
        for (end, text) in [(Int64.max, "d"), (172_800, "2 d"), (7199, "120 min"), (119, "119 s"), (-5, "0 s")] {
            let line = TokenText.created(id: "i", uses: 1, isForWorkers: false, expires: end, now: 0)
            #expect(line.contains(text))
        }
    }

    @Test func `a plan tells its stages, or what is short and who was left out`() throws {
        let fits = #"""
            {"fits":true,"context_tokens":4096,"lanes":2,"stages":[{"node":"a1","first_layer":0,"end_layer":8,
             "bytes":1024}],"candidates":[{"id":"a1","name":"alpha"}],"excluded":[]}
            """#
        #expect(
            ClusterText.preview(try SeenPreview(Sample.json(fits))) == [
                "fits in 1 stage with 4096 tokens of context and 2 lanes", "  STAGE  LAYERS  NODE   MEMORY",
                "  0      [0,8)   alpha  1.0 KiB",
            ])
        let seeing = #"""
            {"fits":true,"stages":[{"node":"a1","first_layer":0,"end_layer":8,"bytes":3072,"projector_bytes":1024}],
             "candidates":[{"id":"a1","name":"alpha"}],"excluded":[]}
            """#
        let lines = ClusterText.preview(try SeenPreview(Sample.json(seeing)))
        #expect(lines.last == "  0      [0,8)   alpha  3.0 KiB, 1.0 KiB of it the projector")
        let short = #"""
            {"fits":false,"reason":"Short by 7 GiB.","candidates":[{"id":"a1","name":"alpha","usable_bytes":1024,
             "promised_bytes":0}],"excluded":[{"id":"b2","code":"draining","reason":"It drains."}]}
            """#
        #expect(
            ClusterText.preview(try SeenPreview(Sample.json(short))) == [
                "does not fit: Short by 7 GiB.", "  NODE   USABLE   PROMISED", "  alpha  1.0 KiB  0 B",
                "not used: b2, draining (It drains.)",
            ])
    }

    @Test func `a plan tells how fast it will be and from what, or why that is not known`() throws {
        func lines(_ predicted: String) throws -> [String] {
            let json = #"""
                {"fits":true,"stages":[{"node":"a1","first_layer":0,"end_layer":8,"bytes":1024},
                 {"node":"a1","first_layer":8,"end_layer":9,"bytes":1}],"candidates":[],"excluded":[],
                 "predicted":\#(predicted)}
                """#
            return Array(ClusterText.preview(try SeenPreview(Sample.json(json))).dropFirst(4))
        }
        let stages = #"""
            [{"token_us":24000,"read_bytes":314572800,"bytes_per_second":12500000000,"cache_us":310,"hop_us":250},
             {"token_us":1000,"read_bytes":1048576,"bytes_per_second":800000000}]
            """#
        #expect(
            try lines(
                #"{"measured":true,"token_us":25500,"assumed_us":40,"first_token_us":2000000,"prompt_tokens":512,"#
                    + #""stages":\#(stages)}"#
            )
                == [
                    "  STAGE  TOKENS/S  PER TOKEN  READS      AT          CACHE    HOP TO THE NEXT",
                    "  0      41.7      24.0 ms    300.0 MiB  12.5 GB/s   0.31 ms  0.25 ms",
                    "  1      1000.0    1.0 ms     1.0 MiB    800.0 MB/s  0.0 ms   -",
                    "predicted: 39.2 tokens/s alone, 25.5 ms per token; first token of a prompt of 512 after "
                        + "2000.0 ms; 0.04 ms of it assumed, as links' rates are not measured",
                ])
        #expect(
            try lines(#"{"measured":false,"token_us":25500,"assumed_us":24000,"stages":\#(stages)}"#) == [
                "speed: unknown, because 24.0 ms of 25.5 ms per token rest on figures nobody measured yet"
            ])
        // What cannot be read is no reason to show no plan.
        #expect(try lines("{}") == [] && lines("7") == [])
    }

    @Test(arguments: [
        ("{}", "leadership"), (#"{"leadership":{}}"#, "node"), (#"{"leadership":{"term":1},"node":"a"}"#, "nodes"),
        (#"{"leadership":{"term":-1},"node":"a"}"#, "term"),
        (#"{"leadership":{"term":1},"node":"a","nodes":[{}],"deployments":[]}"#, "id"),
    ])
    func `an answer that lacks something names it`(json: String, field: String) throws {
        #expect(throws: MissingField(name: field)) { try SeenCluster(Sample.json(json)) }
    }
}
