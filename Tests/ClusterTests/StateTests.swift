import Testing
import Vocabulary

@testable import Cluster

@Suite struct `Cluster state` {
    private func entry(_ index: UInt64, _ events: [ClusterEvent]) -> LogEntry {
        LogEntry(
            index: index, term: 1, stamp: Stamp(milliseconds: Int64(index), counter: 0, node: NodeID(1)), command: nil,
            events: events.map { EventRecord($0) })
    }

    private func deployment(_ milliseconds: Int64, replicas: Int = 1) -> Deployment {
        var deployment = Deployment(name: "d", model: "m")
        deployment.replicas = replicas
        deployment.stamp = Stamp(milliseconds: milliseconds, counter: 0, node: NodeID(1))
        return deployment
    }

    @Test func `the later wish wins in whatever order they come`() {
        let early = ClusterEvent.deploymentSet(deployment(1, replicas: 1))
        let late = ClusterEvent.deploymentSet(deployment(2, replicas: 2))
        for order in [[early, late], [late, early]] {
            var state = ClusterState()
            state.apply(entry(1, order))
            #expect(state.deployments["d"]?.replicas == 2)
        }
    }

    @Test func `a removal outlives an older wish`() {
        var state = ClusterState()
        let stamp = Stamp(milliseconds: 5, counter: 0, node: NodeID(1))
        state.apply(entry(1, [.deploymentRemoved("d", stamp: stamp), .deploymentSet(deployment(4))]))
        #expect(state.deployments.isEmpty)
        state.apply(entry(2, [.deploymentSet(deployment(6))]))
        #expect(state.deployments.count == 1)
    }

    @Test func `an unknown event of a newer release is kept and skipped`() throws {
        // Kind 900 with three bytes, as a newer release might write it.
        let bytes: [UInt8] = [1, 1, 3, 2, 0, 1, 0, 1, 6, 132, 7, 3, 9, 9, 9]
        let entry = try LogEntry(bytes: bytes)
        #expect(entry.events[0].event == .unknown(kind: 900))
        #expect(entry.encodedBytes == bytes)
        var state = ClusterState()
        state.apply(entry)
        #expect(state.index == 1)
    }

    @Test func `a wish tells what its model's parts are checked by, and an older one is read without it`() throws {
        var known = deployment(3)
        known.wish = known.stamp
        var entry = entry(1, [.deploymentSet(known)])
        let before = entry.encodedBytes
        known.blocks = "0f"
        entry = self.entry(1, [.deploymentSet(known)])
        #expect(try LogEntry(bytes: entry.encodedBytes).events[0].event == .deploymentSet(known))
        #expect(entry.encodedBytes.count > before.count)
        known.blocks = ""
        #expect(try LogEntry(bytes: before).events[0].event == .deploymentSet(known))
    }

    @Test func `a wish tells other names and origins, and one without them is written as before`() throws {
        var named = deployment(3)
        named.wish = named.stamp
        let before = entry(1, [.deploymentSet(named)]).encodedBytes
        named.quantization = "Q8_0"
        #expect(entry(1, [.deploymentSet(named)]).encodedBytes.count > before.count)
        (named.aliases, named.sources) = (["a", "b"], ["o/r@v:Q8_0"])
        let bytes = entry(1, [.deploymentSet(named)]).encodedBytes
        #expect(try LogEntry(bytes: bytes).events[0].event == .deploymentSet(named))
        (named.aliases, named.sources, named.quantization) = ([], [], "")
        #expect(try LogEntry(bytes: before).events[0].event == .deploymentSet(named))
    }

    @Test func `a wish tells its projector, and one without it is written as before`() throws {
        var seeing = deployment(3)
        (seeing.wish, seeing.blocks, seeing.digest) = (seeing.stamp, "0f", "ab")
        let before = entry(1, [.deploymentSet(seeing)]).encodedBytes
        seeing.projector = String(repeating: "a", count: 64)
        for blocks in ["", String(repeating: "b", count: 64)] {
            seeing.projectorBlocks = blocks
            let bytes = entry(1, [.deploymentSet(seeing)]).encodedBytes
            #expect(try LogEntry(bytes: bytes).events[0].event == .deploymentSet(seeing))
            #expect(bytes.count > before.count)
            let command = Command(
                id: CommandID(origin: NodeID(1), number: 1), issued: seeing.stamp, action: .deploy(seeing))
            #expect(try Command(encoded: command.encoded) == command)
        }
        (seeing.projector, seeing.projectorBlocks) = ("", "")
        #expect(try LogEntry(bytes: before).events[0].event == .deploymentSet(seeing))
    }

    @Test func `a wish tells what its cache is stored in, and one that does not is written as before`() throws {
        var stored = deployment(3)
        (stored.wish, stored.digest) = (stored.stamp, "ab")
        let before = entry(1, [.deploymentSet(stored)]).encodedBytes
        for (keys, values) in [(.q8_0, .f16), (nil, .q4_0), (.bf16, nil)] as [(CacheFormat?, CacheFormat?)] {
            (stored.cacheKeys, stored.cacheValues) = (keys, values)
            let bytes = entry(1, [.deploymentSet(stored)]).encodedBytes
            #expect(try LogEntry(bytes: bytes).events[0].event == .deploymentSet(stored))
            #expect(bytes.count > before.count)
        }
        (stored.cacheKeys, stored.cacheValues) = (nil, nil)
        #expect(entry(1, [.deploymentSet(stored)]).encodedBytes == before)
        #expect(try LogEntry(bytes: before).events[0].event == .deploymentSet(stored))
    }

    @Test func `a reader that knows no projectors reads the rest of a wish with one`() throws {
        // The fields of the release before, in their order, behind which such a reader skips.
        struct Earlier: Recordable {
            var known: Deployment

            func write(to writer: inout RecordWriter) { known.write(to: &writer) }

            init(from reader: inout RecordReader) throws(CodecError) {
                var fields = Deployment(name: try reader.text("name"), model: try reader.text("model"))
                fields.digest = try reader.text("digest")
                fields.replicas = try reader.count("replicas", limit: Limits.replicaCount)
                for _ in 0..<3 { _ = try reader.optionalNumber("number") }
                for _ in 0..<2 { _ = try reader.list("nodes", limit: Limits.listCount, NodeID.self) }
                _ = try reader.texts("tags")
                _ = try reader.optionalNumber("keepAlive")
                fields.isAutomatic = try reader.bool("automatic")
                fields.draft = try reader.text("draft")
                fields.stamp = try reader.record("stamp")
                fields.preferredTags = try reader.texts("preferred")
                fields.wish = try reader.record("wish")
                fields.blocks = try reader.text("blocks")
                fields.aliases = try reader.texts("aliases")
                fields.sources = try reader.texts("sources")
                fields.quantization = try reader.text("quantization")
                known = fields
            }
        }
        var seeing = deployment(3)
        (seeing.wish, seeing.digest, seeing.blocks) = (seeing.stamp, "ab", "0f")
        var writer = RecordWriter()
        for digit in ["a", "b"] {
            seeing.projector = String(repeating: digit, count: 64)
            writer.put(seeing)
        }
        var reader = RecordReader(writer.bytes)
        for _ in 0..<2 {
            let read = try reader.record("deployment", Earlier.self).known
            (seeing.projector, seeing.projectorBlocks) = ("", "")
            #expect(read == seeing)
        }
        #expect(reader.isAtEnd)
    }

    @Test func `a stage tells its projector's share, and one without is written as before`() throws {
        var stage = StageAssignment(
            node: NodeID(1), layers: LayerRange(first: 0, end: 2), bytes: ByteCount(300), projector: ByteCount(200))
        let bytes = stage.encoded
        #expect(try StageAssignment(encoded: bytes) == stage)
        stage.projector = ByteCount(0)
        #expect(stage.encoded == Array(bytes.prefix(stage.encoded.count)) && stage.encoded.count == bytes.count - 2)
        #expect(try StageAssignment(encoded: stage.encoded) == stage)
    }

    @Test func `a projector enters the log by its digest, beside a model's`() {
        let state = ClusterState()
        let digest = String(repeating: "0f", count: 32)
        func code(_ projector: String, blocks: String = "", of model: String = String(repeating: "ab", count: 32))
            -> CommandRefusal.Code?
        {
            var wish = Deployment(name: "d", model: "m")
            (wish.digest, wish.projector, wish.projectorBlocks) = (model, projector, blocks)
            do throws(CommandRefusal) {
                _ = try state.events(for: .deploy(wish), stamp: .zero, term: 1, wall: 0)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code(digest) == nil && code(digest, blocks: digest) == nil && code("") == nil)
        for projector in ["mmproj", "/tmp/mmproj.gguf", String(repeating: "x", count: 64), digest + "00"] {
            #expect(code(projector) == .invalid)
        }
        #expect(code(digest, blocks: "0f") == .invalid && code(digest, of: "") == .invalid)
    }

    @Test func `a cut-over leaves exactly one epoch serving`() {
        var state = ClusterState()
        let key = ReplicaKey(deployment: "d", index: 0)
        let stage = StageAssignment(node: NodeID(1), layers: LayerRange(first: 0, end: 1), bytes: ByteCount(1))
        let epochs = (1...2 as ClosedRange<UInt64>).map { Epoch(term: 1, number: $0) }
        state.apply(entry(1, [.deploymentSet(deployment(1))]))
        state.apply(
            entry(2, epochs.map { .placementBegan(PlacedReplica(epoch: $0, replica: key, stages: [stage])) }))
        for (offset, epoch) in epochs.enumerated() {
            state.apply(entry(UInt64(3 + offset), [.placementAdvanced(epoch, to: .active, at: 1, note: "")]))
            #expect(state.placements.values.count { $0.phase == .active } == 1)
            #expect(state.activePlacement(of: key)?.epoch == epoch)
        }
        #expect(state.placements[epochs[0]]?.phase == .draining)
    }

    @Test func `twenty thousand commands leave tables within their bounds`() {
        var state = ClusterState()
        for index in 1...20_000 as ClosedRange<UInt64> {
            var entry = entry(
                index,
                [
                    .settingSet(
                        "s\(index % 300)",
                        .init(
                            value: "x",
                            stamp: Stamp(
                                milliseconds: Int64(index), counter: 0, node: NodeID(1)))),
                    .deploymentRemoved(
                        "d\(index)",
                        stamp: Stamp(
                            milliseconds: Int64(index), counter: 0, node: NodeID(1))),
                ])
            entry.command = CommandID(origin: NodeID(1), number: index)
            state.apply(entry)
        }
        #expect(state.results.count == Limits.resultCount)
        #expect(state.settings.count <= Limits.settingCount)
        #expect(state.removedDeployments.count <= Limits.tombstoneCount)
        #expect(state.results.index(of: CommandID(origin: NodeID(1), number: 20_000)) == 20_000)
        #expect(state.results.floor.milliseconds == 20_000 - Int64(Limits.resultCount))
    }

    @Test func `a full table of settings makes room by forgetting what was removed first`() {
        func stamp(_ milliseconds: Int) -> Stamp {
            Stamp(milliseconds: Int64(milliseconds), counter: 0, node: NodeID(1))
        }
        func isNews(_ name: String, _ value: String?, _ milliseconds: Int, in state: ClusterState) -> Bool {
            var content = BranchContent()
            content.settings = [.init(name: name, setting: Setting(value: value, stamp: stamp(milliseconds)))]
            return !state.news(in: content).isEmpty
        }
        func set(_ name: String, _ value: String?, _ milliseconds: Int, in state: inout ClusterState) {
            state.apply(.settingSet(name, Setting(value: value, stamp: stamp(milliseconds))))
        }
        var state = ClusterState()
        for number in 0..<Limits.settingCount { set("s\(number)", "x", number, in: &state) }
        let full = state
        #expect(throws: CommandRefusal.self) {
            try full.events(for: .configure("new", "x"), stamp: stamp(900), term: 1, wall: 0)
        }
        #expect(throws: Never.self) {
            try full.events(for: .configure("s0", "y"), stamp: stamp(900), term: 1, wall: 0)
        }
        #expect(!isNews("new", "x", 900, in: full), "it would find no room")
        set("new", "x", 900, in: &state)
        #expect(state.settings == full.settings)

        set("s7", nil, 1000, in: &state)
        set("s3", nil, 1001, in: &state)
        #expect(!isNews("old", nil, 500, in: state), "it would be forgotten at once, and be told for ever")
        set("old", nil, 500, in: &state)
        #expect(state.settings["old"] == nil)
        #expect(isNews("late", nil, 1500, in: state) && isNews("new", "x", 900, in: state))
        set("new", "x", 1002, in: &state)
        #expect(state.settings["new"]?.value == "x")
        #expect(state.settings["s7"] == nil && state.settings["s3"] != nil)
        #expect(state.settings.count == Limits.settingCount)
    }

    /// Else nodes that obeyed the part would refuse all that the majority begins in the same term.
    @Test func `epochs count on from those of a part without a majority, though none of them serves`() throws {
        func events(_ number: UInt64, _ state: ClusterState) throws -> [ClusterEvent] {
            var content = BranchContent()
            content.lastEpoch = number
            #expect(try BranchContent(encoded: content.encoded) == content)
            #expect(state.news(in: content).isEmpty == !(number > state.lastEpoch))
            return try state.events(for: .merge(content), stamp: .zero, term: 3, wall: 0)
        }
        var part = ClusterState()
        part.lastEpoch = 4097
        var state = ClusterState()
        state.lastEpoch = 12
        #expect(part.content.lastEpoch == 4097)
        for event in try events(4097, state) { state.apply(event) }
        #expect(state.lastEpoch == 4097)
        #expect(try events(4097, state).isEmpty && events(100, state).isEmpty)
        #expect(
            state.news(
                in: {
                    var far = BranchContent(); far.lastEpoch = 1 << 40; return far
                }()
            ).isEmpty)
    }

    /// What a node keeps of several branches must be read again, too.
    @Test func `of more settings than there may be a merged branch keeps the latest`() throws {
        var contents = [BranchContent(), BranchContent()]
        for number in 0..<2 * Limits.settingCount {
            let stamp = Stamp(milliseconds: Int64(number), counter: 0, node: NodeID(1))
            contents[number % 2].settings.append(.init(name: "s\(number)", setting: Setting(value: "x", stamp: stamp)))
        }
        let both = contents[0].absorbing(contents[1])
        #expect(both.settings.count == Limits.settingCount)
        #expect(both.settings.allSatisfy { $0.setting.stamp.milliseconds >= Int64(Limits.settingCount) })
        #expect(try BranchContent(encoded: both.encoded) == both)
    }
}

@Suite struct `Control messages` {
    @Test func `garbage is an error, never a crash`() {
        var random = SeededRandom(seed: 11)
        for _ in 0..<20_000 {
            let bytes = (0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = try? ClusterMessage(bytes: bytes)
        }
    }

    private static func gossip(_ incarnation: UInt64, _ hint: LeaderHint = LeaderHint()) -> ClusterMessage {
        var gossip = Gossip()
        gossip.hint = hint
        gossip.updates = [StatusUpdate(node: NodeID(1), status: .suspect, incarnation: incarnation)]
        return .ping(sequence: .max, gossip)
    }

    private static func append(_ previous: UInt64, _ entries: [LogEntry] = []) -> ClusterMessage {
        .append(Append(term: 1, previousIndex: previous, previousTerm: 1, entries: entries, commit: 0, sentAt: 1))
    }

    private static func merge(_ epoch: UInt64, bytes: UInt64 = 1, at stamp: Stamp = .zero) -> ClusterMessage {
        let stage = StageAssignment(
            node: NodeID(1), layers: LayerRange(first: 0, end: 1), bytes: ByteCount(bytes))
        var content = BranchContent()
        content.placements = [
            PlacedReplica(
                epoch: Epoch(term: 1, number: epoch), replica: ReplicaKey(deployment: "d", index: 0), stages: [stage])
        ]
        let id = CommandID(origin: NodeID(.max), number: .max)
        return .propose(Command(id: id, issued: stamp, action: .merge(content)))
    }

    /// Messages with a number that somebody counts on from, and its name.
    private static func messages(_ number: UInt64) -> [(field: String, message: ClusterMessage)] {
        var state = ClusterState()
        state.lastEpoch = number
        let hint = LeaderHint(term: number, leader: nil, commit: 0, hasForgotten: false)
        return [
            ("update.incarnation", gossip(number)),
            ("hint.term", gossip(0, hint)),
            ("hint.commit", gossip(0, LeaderHint(term: 0, leader: nil, commit: number, hasForgotten: false))),
            (
                "vote.term",
                .vote(VoteRequest(kind: .vote, term: number, lastIndex: 0, lastTerm: 0, predecessor: 0))
            ),
            ("append.previousIndex", append(number)),
            ("entry.index", append(1, [LogEntry(index: number, term: 1, stamp: .zero, command: nil, events: [])])),
            ("entry.term", append(1, [LogEntry(index: 1, term: number, stamp: .zero, command: nil, events: [])])),
            ("appendReply.index", .appendReply(AppendReply(term: 1, isAccepted: true, index: number, sentAt: 1))),
            (
                "snapshot.lastIndex",
                .snapshot(
                    SnapshotChunk(
                        term: 1, lastIndex: number, lastTerm: 1, offset: 0, total: 0, bytes: [], sentAt: 1))
            ),
            ("term", .succeed(term: number)),
            ("branchReply.term", .branchReply(BranchReply(term: number, version: 1, rival: nil))),
            ("state.lastEpoch", .branch(BranchBeat(term: 1, version: 1, state: state))),
            ("epoch.number", merge(number)),
        ]
    }

    /// The field that is above its limit; nil when the message can be read.
    private static func field(_ message: ClusterMessage) -> String? {
        do throws(CodecError) {
            _ = try ClusterMessage(bytes: message.encodedBytes)
            return nil
        } catch {
            guard case .limitExceeded(let field, _, _, _) = error else { return "\(error)" }
            return field
        }
    }

    /// At the end of a number's range the next one would stop every node that counts on.
    @Test func `numbers that no cluster reaches are refused at the door, by their names`() {
        for number in [Limits.largestNumber + 1, .max] {
            for (field, message) in Self.messages(number) { #expect(Self.field(message) == field) }
        }
        for (_, message) in Self.messages(Limits.largestNumber) { #expect(Self.field(message) == nil) }
        for milliseconds in [.min, -1, Int64(Limits.largestNumber) + 1, .max] as [Int64] {
            let stamp = Stamp(milliseconds: milliseconds, counter: 0, node: NodeID(1))
            #expect(Self.field(Self.merge(1, at: stamp)) == "stamp.milliseconds")
        }
        #expect(Self.field(Self.merge(1, bytes: Limits.stageBytes)) == nil)
        #expect(Self.field(Self.merge(1, bytes: Limits.stageBytes + 1)) == "stage.bytes")
        // In an event it is as good as one of a kind that nobody knows.
        let removed = ClusterEvent.deploymentRemoved("d", stamp: Stamp(milliseconds: -1, counter: 0, node: NodeID(1)))
        #expect(EventRecord(removed).event == .unknown(kind: 7))
    }

    @Test func `a lying count takes no memory`() {
        // sync with 4096 updates announced and none there.
        #expect(throws: CodecError.self) { try ClusterMessage(bytes: [5, 0x80, 0x20]) }
    }

    @Test func `every cut of a message is refused or read, without a crash`() {
        var deployment = Deployment(name: "d", model: "m")
        deployment.pinned = [NodeID(4), NodeID(5)]
        let record = EventRecord(.deploymentSet(deployment))
        let entry = LogEntry(index: 2, term: 1, stamp: .zero, command: nil, events: [record])
        let bytes = entry.encodedBytes
        for count in 0..<bytes.count {
            #expect(throws: CodecError.self) { try LogEntry(bytes: Array(bytes[..<count])) }
        }
    }
}
