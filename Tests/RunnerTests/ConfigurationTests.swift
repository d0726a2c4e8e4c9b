import Cluster
import Foundation
import Identity
import Serving
import Synchronization
import Testing
import Transport
import Vocabulary
import Wire

@testable import Runner

/// A configuration as a node makes it.
enum Configurations {
    static func stage(_ index: Int, of count: Int = 2) -> RunnerConfiguration {
        let size = 8 / count
        return RunnerConfiguration(
            cluster: "tests", placement: "tiny", epoch: Epoch(term: 1, number: 3), stageIndex: index,
            stages: (0..<count).map { LayerRange(first: $0 * size, end: ($0 + 1) * size) },
            modelDigest: String(repeating: "a7", count: 32), path: "/m.gguf", recipe: .whole(width: 2),
            laneCount: 4, cellCount: 64, window: 64, listen: .unix(path: "/tmp/x.sock"))
    }
}

@Suite struct `What a runner is told` {
    @Test func `commands and reports come back from their lines`() throws {
        var configuration = Configurations.stage(1)
        configuration.conditions.delayMicroseconds = 12
        (configuration.shelfCount, configuration.prefixReuse) = (3, .whole)
        let costs = try #require(StepCosts([.init(rows: 1, nanoseconds: 5), .init(rows: 2, nanoseconds: 7.5)]))
        configuration.costs = costs
        let commands: [RunnerCommand] = [
            .configure(configuration),
            .connect(next: LinkTarget(.tcp(host: "::1", port: 9)), entry: nil, chain: ChainFacts()),
            .connect(
                next: nil, entry: LinkTarget(.tcp(host: "::1", port: 9), serverName: "n"),
                chain: ChainFacts(
                    costs: [costs, costs], archives: [true, true], heads: HeadFacts(costs: costs), pauses: [true, true])
            ),
            .report, .archive, .trust(try Self.pass),
        ]
        for command in commands {
            let line = try JSONEncoder().encode(command)
            #expect(!line.contains(UInt8(ascii: "\n")))
            let back = try JSONDecoder().decode(RunnerCommand.self, from: line)
            #expect(try Self.same(command, back))
        }
        let reports: [RunnerReport] = [
            .listening(.unix(path: "/tmp/a b.sock"), remotePort: 7), .loading(fraction: 0.25), .ready,
            .failed(reason: "two\nlines and \"quotes\""), .detached(reason: "the link is gone"),
        ]
        for report in reports {
            let line = try JSONEncoder().encode(report)
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try Self.same(report, try JSONDecoder().decode(RunnerReport.self, from: line)))
        }
    }

    private static var pass: LinkPass {
        get throws {
            let node = NodeID(7)
            let authority = try ClusterAuthority.found(try #require(ClusterID(3)), now: .current)
            let key = NodeKey()
            let certificate = try authority.issue(try key.signingRequest(for: node), for: node, now: .current)
            var trust = PeerTrust()
            trust.removed = [NodeID(9)]
            return LinkPass(
                try NodeCredentials(key: key, certificate: certificate, authority: authority.certificate), trust)
        }
    }

    private static func same(_ left: some Encodable, _ right: some Encodable) throws -> Bool {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return try encoder.encode(left) == encoder.encode(right)
    }

    @Test func `places follow from the configuration`() {
        let first = Configurations.stage(0)
        let last = Configurations.stage(1)
        #expect(first.isEntry && !first.isLast && !last.isEntry && last.isLast)
        #expect(last.layers == LayerRange(first: 4, end: 8))
        #expect(last.layerCount == 8)
    }

    @Test func `an unknown wire format and a malformed digest are refused by field`() {
        func refusal(_ change: (inout RunnerConfiguration) -> Void) -> RunnerError? {
            var configuration = Configurations.stage(0)
            change(&configuration)
            do throws(RunnerError) {
                _ = try RunnerIdentity(configuration, width: 2)
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal { _ in } == nil)
        guard case .badConfiguration(field: "wire", value: "f64", let allowed) = refusal({ $0.wire = "f64" }) else {
            Issue.record("an unknown wire format is taken")
            return
        }
        #expect(allowed.contains("f32") && allowed.contains("f16"))
        guard case .badConfiguration(field: "modelDigest", value: "beef", _) = refusal({ $0.modelDigest = "beef" })
        else {
            Issue.record("a malformed digest is taken")
            return
        }
    }

    @Test func `each stage is told to take exactly the links of its place`() throws {
        for count in 1...3 {
            for index in 0..<count {
                let identity = try RunnerIdentity(Configurations.stage(index, of: count == 3 ? 4 : count), width: 2)
                let roles = identity.acceptor.roles
                #expect(roles.contains(.control) == (index == 0))
                #expect(roles.contains(.upstream) == (index > 0))
                #expect(roles.contains(.directReturn) == (index == 0 && count > 1))
            }
        }
        let first = try RunnerIdentity(Configurations.stage(0), width: 2)
        let last = try RunnerIdentity(Configurations.stage(1), width: 2)
        guard case .welcome = Handshake.answer(first.hello(role: .upstream, to: 1), by: last.acceptor),
            case .welcome = Handshake.answer(last.hello(role: .directReturn, to: 0), by: first.acceptor),
            case .refuse = Handshake.answer(first.hello(role: .directReturn, to: 1), by: last.acceptor)
        else {
            Issue.record("the stages of one placement do not agree")
            return
        }
        var stale = first.hello(role: .upstream, to: 1)
        stale.epoch = Epoch(term: 1, number: 2)
        #expect(
            Handshake.answer(stale, by: last.acceptor)
                == .refuse(.fenced(offered: stale.epoch, held: Epoch(term: 1, number: 3))))
    }

    @Test func `an opening is told once, whichever comes first`() {
        let told = Mutex<[RunnerError?]>([])
        let lost = RunnerError.linkFailed(role: "upstream", reason: "gone")
        var early = Opening()
        early.resolve(nil)
        early.wait { error in told.withLock { $0.append(error) } }
        early.resolve(lost)
        #expect(told.withLock { $0 } == [nil])
        var late = Opening()
        late.wait { error in told.withLock { $0.append(error) } }
        #expect(told.withLock { $0.count } == 1)
        late.resolve(lost)
        late.resolve(nil)
        #expect(told.withLock { $0 } == [nil, lost])
    }
}
