import Testing
import Vocabulary

@testable import Cluster

@Suite struct `Names of deployments` {
    @Test func `no two deployments share a name`() {
        var state = ClusterState()
        var first = Deployment(name: "chat", model: "m")
        first.aliases = ["gpt-4o"]
        let record = EventRecord(.deploymentSet(first))
        let begun = Stamp(milliseconds: 1, counter: 0, node: NodeID(1))
        state.apply(LogEntry(index: 1, term: 1, stamp: begun, command: nil, events: [record]))
        let stamp = Stamp(milliseconds: 9, counter: 0, node: NodeID(1))
        func code(_ name: String, _ aliases: [String]) -> CommandRefusal.Code? {
            var wish = Deployment(name: name, model: "m")
            wish.aliases = aliases
            do throws(CommandRefusal) {
                _ = try state.events(for: .deploy(wish), stamp: stamp, term: 1, wall: 0)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code("other", ["gpt-4o"]) == .conflict && code("other", ["chat"]) == .conflict)
        #expect(code("gpt-4o", []) == .conflict)
        #expect(code("other", ["o1"]) == nil && code("chat", ["gpt-4o", "o1"]) == nil && code("chat", []) == nil)
        #expect(code("other", Array(repeating: "x", count: 65)) == .invalid)
        #expect(code("other", [String(repeating: "x", count: 1025)]) == .invalid)
    }
}
