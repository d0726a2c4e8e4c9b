import Vocabulary

/// A cluster as lines for people.
enum ClusterText {
    static let degraded =
        "no majority of the voters answers: what is decided now merges with the rest when it is back"

    /// As many digits of each id as tell it from the others, and at least eight.
    static func shortIDs(_ ids: [String]) -> [String] {
        ids.map { id in
            var count = 8
            while count < id.count, ids.contains(where: { $0 != id && $0.hasPrefix(id.prefix(count)) }) { count += 1 }
            return String(id.prefix(count))
        }
    }

    // MARK: Nodes

    static func nodes(_ cluster: SeenCluster) -> [String] {
        let ids = shortIDs(cluster.nodes.map(\.id))
        let rows = zip(cluster.nodes, ids).map { node, id in
            [
                id, node.name.isEmpty ? "-" : node.name, state(node), votes(node.id, cluster.leadership),
                node.role.isEmpty ? "-" : node.role, memory(node),
                node.weightBytesPerSecond.map { PlanText.rate(Double($0)) } ?? "?",
                node.tags.isEmpty ? "-" : node.tags.joined(separator: ","), node.addresses.first ?? "-",
            ]
        }
        return TextTable(
            titles: ["ID", "NAME", "STATE", "VOTES", "ROLE", "MEMORY", "SPEED", "TAGS", "ADDRESS"], rows: rows
        ).lines
    }

    private static func state(_ node: SeenNode) -> String { node.liveness + (node.isDraining ? ", draining" : "") }

    private static func votes(_ id: String, _ leadership: SeenLeadership) -> String {
        if leadership.leader == id { return "leader" }
        return leadership.voters.contains(id) ? "voter" : "-"
    }

    /// What is not known is not shown as nothing.
    private static func memory(_ node: SeenNode) -> String {
        switch (node.usableBytes, node.totalBytes) {
        case (let usable?, let total?): "\(ByteCount(usable)) of \(ByteCount(total))"
        case (let usable?, nil): "\(ByteCount(usable))"
        case (nil, let total?): "? of \(ByteCount(total))"
        case (nil, nil): "?"
        }
    }

    // MARK: Status

    static func status(_ cluster: SeenCluster) -> [String] {
        let leadership = cluster.leadership
        var rows = [
            ("cluster", "\(cluster.cluster ?? "none yet"), seen by \(cluster.name(of: cluster.node))"),
            ("leader", leadership.leader.map { "\(cluster.name(of: $0)), term \(leadership.term)" } ?? "nobody"),
            ("voters", leadership.voters.map { cluster.name(of: $0) }.joined(separator: ", ")),
            ("nodes", count(cluster.nodes)),
        ]
        // Ten letters would touch the value.
        if leadership.coordinator != "embedded" { rows.append(("led by", leadership.coordinator)) }
        if leadership.isDegraded { rows.append(("degraded", degraded)) }
        rows += cluster.warnings.map { ("warning", $0) }
        let lines = rows.map { key, value in
            key + String(repeating: " ", count: 10 - key.count) + PrintableText.of(value.isEmpty ? "-" : value)
        }
        guard !cluster.deployments.isEmpty else { return lines + ["", "No deployment; make one with 'skein deploy'."] }
        return lines + cluster.deployments.flatMap { [""] + deployment($0, cluster) }
    }

    private static func count(_ nodes: [SeenNode]) -> String {
        let states = ["alive", "suspect", "dead", "left"]
        var parts = ["\(nodes.count)"]
        for state in states {
            let count = nodes.count { $0.liveness == state }
            if count > 0 { parts.append("\(count) \(state)") }
        }
        let unknown = nodes.count { !states.contains($0.liveness) }
        if unknown > 0 { parts.append("\(unknown) unknown") }
        let draining = nodes.count(where: \.isDraining)
        if draining > 0 { parts.append("\(draining) draining") }
        return parts.joined(separator: ", ")
    }

    /// A deployment with its placements.
    static func deployment(_ deployment: SeenDeployment, _ cluster: SeenCluster) -> [String] {
        var lines = [headline(deployment)]
        for placement in deployment.placements {
            lines.append("  " + headline(placement))
            lines += stages(placement.stages, cluster, indent: 4)
        }
        return lines
    }

    static func headline(_ deployment: SeenDeployment) -> String {
        var text = "\(deployment.name): \(deployment.state)"
        if let progress = deployment.progress { text += " \(progress / 10) %" }
        text += ", \(deployment.replicas) replica\(deployment.replicas == 1 ? "" : "s") of \(deployment.model)"
        if !deployment.reason.isEmpty { text += ": \(deployment.reason)" }
        return PrintableText.of(text)
    }

    static func headline(_ placement: SeenPlacement) -> String {
        var text = "replica \(placement.replica), epoch \(placement.epoch), \(placement.phase)"
        // Zero stands for what the planner has not said.
        if let context = placement.contextTokens, context > 0 { text += ", \(context) tokens" }
        if let lanes = placement.lanes, lanes > 0 { text += ", \(lanes) lane\(lanes == 1 ? "" : "s")" }
        return PrintableText.of(text)
    }

    private static func stages(_ stages: [SeenStage], _ cluster: SeenCluster, indent: Int) -> [String] {
        guard !stages.isEmpty else { return [] }
        let rows = stages.enumerated().map { index, stage in
            [
                "\(index)", "[\(stage.firstLayer),\(stage.endLayer))", cluster.name(of: stage.node),
                "\(ByteCount(stage.bytes))"
                    + (stage.projectorBytes > 0 ? ", \(ByteCount(stage.projectorBytes)) of it the projector" : ""),
            ]
        }
        return TextTable(titles: ["STAGE", "LAYERS", "NODE", "MEMORY"], rows: rows, indent: indent).lines
    }

    /// The nodes of a placement in the order of its stages.
    static func nodes(_ placement: SeenPlacement, _ cluster: SeenCluster) -> String {
        PrintableText.of(placement.stages.map { cluster.name(of: $0.node) }.joined(separator: ", "))
    }

    // MARK: What is loaded

    static func loaded(_ cluster: SeenCluster) -> [String] {
        var rows: [[String]] = []
        for deployment in cluster.deployments {
            for placement in deployment.placements {
                let bytes = placement.stages.reduce(UInt64(0)) { $0 &+ $1.bytes }
                rows.append([
                    deployment.name, "\(placement.replica)", placement.phase, "\(placement.stages.count)",
                    said(placement.contextTokens), said(placement.lanes), "\(ByteCount(bytes))",
                    nodes(placement, cluster),
                ])
            }
        }
        guard !rows.isEmpty else { return ["No deployment is loaded; 'skein deploy MODEL' makes one."] }
        return TextTable(
            titles: ["NAME", "REPLICA", "STATE", "STAGES", "CONTEXT", "LANES", "MEMORY", "NODES"], rows: rows
        ).lines
    }

    /// What the node that was asked serves beside all deployments.
    static func own(_ models: [SeenModel], _ cluster: SeenCluster) -> [String] {
        guard !models.isEmpty else { return [] }
        let list = models.map { PrintableText.of("\($0.name) (\($0.state))") }.joined(separator: ", ")
        return ["", "\(cluster.name(of: cluster.node)) serves by itself: \(list)"]
    }

    /// Zero stands for what the planner has not said.
    private static func said(_ number: UInt64?) -> String {
        guard let number, number > 0 else { return "-" }
        return "\(number)"
    }

    // MARK: Plan

    static func preview(_ preview: SeenPreview) -> [String] {
        // The names of who takes part are those of the candidates.
        var cluster = SeenCluster(
            node: "", leadership: SeenLeadership(term: 0, isDegraded: false, voters: []), nodes: [], deployments: [],
            warnings: [])
        cluster.nodes = preview.candidates.map { candidate in
            SeenNode(
                id: candidate.id, name: candidate.name, addresses: [], tags: [], role: "", isDraining: false,
                liveness: "")
        }
        var lines: [String] = []
        if preview.fits {
            let count = preview.stages.count
            var text = "fits in \(count) stage\(count == 1 ? "" : "s")"
            if let context = preview.contextTokens { text += " with \(context) tokens of context" }
            if let lanes = preview.lanes { text += " and \(lanes) lane\(lanes == 1 ? "" : "s")" }
            lines = [text] + stages(preview.stages, cluster, indent: 2)
            if let forecast = preview.forecast { lines += ForecastText.lines(forecast) }
        } else {
            lines = ["does not fit: " + PrintableText.of(preview.reason)]
            if !preview.candidates.isEmpty {
                let rows = preview.candidates.map { candidate in
                    [
                        cluster.name(of: candidate.id), candidate.usableBytes.map { "\(ByteCount($0))" } ?? "?",
                        "\(ByteCount(candidate.promisedBytes ?? 0))",
                    ]
                }
                lines += TextTable(titles: ["NODE", "USABLE", "PROMISED"], rows: rows, indent: 2).lines
            }
        }
        return lines
            + preview.excluded.map { exclusion in
                PrintableText.of("not used: \(exclusion.id), \(exclusion.code) (\(exclusion.reason))")
            }
    }
}
