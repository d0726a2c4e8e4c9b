import Dialects

extension SeenCluster {
    /// Takes an event in and says in lines what became different.
    ///
    /// **Throws:** what the event lacks.
    mutating func take(_ name: String, _ data: JSONNode) throws(MissingField) -> [String] {
        switch name {
        case "leadership": return take(try SeenLeadership(data))
        case "node": return take(try SeenNode(data))
        case "node_removed":
            guard let id = data["id"]?.string else { throw MissingField(name: "id") }
            let called = self.name(of: id)
            nodes.removeAll { $0.id == id }
            return ["node \(called) is removed"]
        case "deployment": return take(try SeenDeployment(data))
        case "deployment_removed":
            guard let name = data["name"]?.string else { throw MissingField(name: "name") }
            deployments.removeAll { $0.name == name }
            return ["deployment \(name) is gone"]
        case "warnings":
            guard let items = data["warnings"]?.array else { throw MissingField(name: "warnings") }
            return take(items.compactMap(\.string))
        // Settings are how the cluster remembers; their names say nothing to people. A newer node has other events.
        default: return []
        }
    }

    private mutating func take(_ new: SeenLeadership) -> [String] {
        let old = leadership
        leadership = new
        var lines: [String] = []
        if (new.leader, new.term) != (old.leader, old.term) {
            lines.append(new.leader.map { "\(name(of: $0)) leads in term \(new.term)" } ?? "nobody leads")
        }
        if new.isDegraded != old.isDegraded {
            lines.append(new.isDegraded ? ClusterText.degraded : "a majority of the voters answers again")
        }
        if new.voters != old.voters {
            let names = new.voters.map { name(of: $0) }.joined(separator: ", ")
            lines.append(names.isEmpty ? "nobody votes" : "voters are \(names)")
        }
        return lines
    }

    private mutating func take(_ new: SeenNode) -> [String] {
        guard let place = nodes.firstIndex(where: { $0.id == new.id }) else {
            nodes.append(new)
            nodes.sort { $0.id < $1.id }
            return ["node \(name(of: new.id)) joined"]
        }
        let old = nodes[place]
        nodes[place] = new
        var lines: [String] = []
        if new.liveness != old.liveness { lines.append("node \(name(of: new.id)) is \(new.liveness)") }
        if new.isDraining != old.isDraining {
            lines.append("node \(name(of: new.id)) \(new.isDraining ? "drains" : "no longer drains")")
        }
        return lines.isEmpty && new.standing != old.standing ? ["node \(name(of: new.id)) has new particulars"] : lines
    }

    private mutating func take(_ new: SeenDeployment) -> [String] {
        guard let place = deployments.firstIndex(where: { $0.name == new.name }) else {
            deployments.append(new)
            deployments.sort { $0.name < $1.name }
            return [ClusterText.headline(new)]
        }
        let old = deployments[place]
        deployments[place] = new
        var lines: [String] = []
        if ClusterText.headline(new) != ClusterText.headline(old) { lines.append(ClusterText.headline(new)) }
        for placement in new.placements {
            let before = old.placements.first { ($0.epoch, $0.replica) == (placement.epoch, placement.replica) }
            guard before?.phase != placement.phase else { continue }
            lines.append("\(new.name): \(ClusterText.headline(placement)) on \(ClusterText.nodes(placement, self))")
        }
        return lines
    }

    private mutating func take(_ new: [String]) -> [String] {
        let old = warnings
        warnings = new
        return new.filter { !old.contains($0) }.map { "warning: \($0)" }
            + old.filter { !new.contains($0) }.map { "no longer: \($0)" }
    }
}
