import Vocabulary

extension ClusterState {
    /// The events that carry out an action, or why it is refused. No events mean that nothing is left to do.
    func events(
        for action: Command.Action, stamp: Stamp, term: UInt64, wall: Int64
    ) throws(CommandRefusal) -> [ClusterEvent] {
        switch action {
        case .deploy(var deployment):
            try check(deployment)
            deployment.stamp = stamp
            deployment.wish = stamp
            return [.deploymentSet(deployment)]
        case .undeploy(let name):
            guard deployments[name] != nil else { throw Self.noDeployment(name) }
            return removal(of: name, stamp: stamp, wall: wall)
        case .demand(let deployment): return try demand(deployment, stamp)
        case .keep(let name, let milliseconds): return try keep(name, milliseconds, stamp, wall)
        case .configure(let name, let value): return try configure(name, value, stamp)
        case .admit(var member):
            guard members[member.node] != nil || members.count < Limits.memberCount else {
                throw CommandRefusal(.full, "The cluster has \(Limits.memberCount) members; remove one first.")
            }
            member.isDraining = members[member.node]?.isDraining ?? false
            member.stamp = stamp
            return [.memberSet(member)]
        case .remove(let node):
            guard members[node] != nil else { throw CommandRefusal(.notFound, "No member has the id \(node).") }
            guard !voters.contains(node) || voters.count > 1 else {
                throw CommandRefusal(.conflict, "\(node) is the only voter; admit another node first.")
            }
            return [.memberRemoved(node, stamp: stamp)]
        case .drain(let node, let drains):
            guard var member = members[node] else { throw CommandRefusal(.notFound, "No member has the id \(node).") }
            guard member.isDraining != drains else { return [] }
            member.isDraining = drains
            member.stamp = stamp
            return [.memberSet(member)]
        case .merge(let content): return events(merging: content, at: wall)
        case .retire(let node):
            return voters.contains(node) ? [.votersChanged(voters.filter { $0 != node })] : []
        default: return events(forOwn: action, term: term, wall: wall)
        }
    }

    /// Settings that were removed take no place from new ones.
    private func configure(_ name: String, _ value: String?, _ stamp: Stamp) throws(CommandRefusal) -> [ClusterEvent] {
        let isNew = value != nil && settings[name]?.value == nil
        let count = settings.values.count { $0.value != nil }
        guard !isNew || count < Limits.settingCount else {
            throw CommandRefusal(.full, "There are \(Limits.settingCount) settings already; remove one first.")
        }
        guard name.utf8.count + (value?.utf8.count ?? 0) <= Limits.textBytes else {
            throw CommandRefusal(.invalid, "A setting may have \(Limits.textBytes) bytes; shorten it.")
        }
        return [.settingSet(name, Setting(value: value, stamp: stamp))]
    }

    private static func noDeployment(_ name: String) -> CommandRefusal {
        CommandRefusal(.notFound, "No deployment has the name '\(name)'; `skein status` lists them.")
    }

    private func check(_ deployment: Deployment) throws(CommandRefusal) {
        guard deployments[deployment.name] != nil || deployments.count < Limits.deploymentCount else {
            throw CommandRefusal(.full, "There are \(Limits.deploymentCount) deployments already; remove one first.")
        }
        guard !deployment.name.isEmpty, !deployment.model.isEmpty else {
            throw CommandRefusal(.invalid, "A deployment needs a name and a model.")
        }
        guard (1...Limits.replicaCount).contains(deployment.replicas) else {
            throw CommandRefusal(
                .invalid, "replicas is \(deployment.replicas); allowed: 1 … \(Limits.replicaCount).")
        }
        let lists = [
            deployment.requiredTags, deployment.preferredTags, deployment.aliases, deployment.sources,
        ]
        let texts =
            [deployment.name, deployment.model, deployment.digest, deployment.blocks, deployment.quantization]
            + lists.joined()
        let counts = [deployment.pinned.count, deployment.excluded.count] + lists.map(\.count)
        guard texts.allSatisfy({ $0.utf8.count <= Limits.textBytes }), counts.allSatisfy({ $0 <= Limits.listCount })
        else {
            throw CommandRefusal(
                .invalid, "Texts may have \(Limits.textBytes) bytes and lists \(Limits.listCount) items.")
        }
        try checkDigests(deployment)
        try checkNames(deployment)
    }

    /// A name or a path means something on one node only; the others fetch files by their digests, and keep them under
    /// these names.
    private func checkDigests(_ deployment: Deployment) throws(CommandRefusal) {
        for (field, text) in [
            ("digest", deployment.digest), ("the root of its blocks", deployment.blocks),
            ("draft", deployment.draftDigest ?? ""),
            ("projector", deployment.projector), ("the root of its blocks", deployment.projectorBlocks),
        ] where !text.isEmpty && !Hexadecimal.isDigest(text) {
            throw CommandRefusal(
                .invalid, "\(field) is '\(text.prefix(80))'; a SHA-256 of 64 lower-case hexadecimal digits is expected."
            )
        }
        guard deployment.projector.isEmpty || !deployment.digest.isEmpty else {
            throw CommandRefusal(
                .invalid, "A projector is given, but no digest of the model it is for; deploy the model by its name.")
        }
    }

    /// What one deployment is called no other one is.
    private func checkNames(_ deployment: Deployment) throws(CommandRefusal) {
        for other in deployments.values where other.name != deployment.name {
            let taken = Set([other.name] + other.aliases)
            guard let alias = deployment.aliases.first(where: taken.contains) else { continue }
            throw CommandRefusal(
                .conflict, "The deployment '\(other.name)' is called '\(alias)' already; choose another alias.")
        }
        let aliased = deployments.values.first { $0.name != deployment.name && $0.aliases.contains(deployment.name) }
        guard let aliased, deployments[deployment.name] == nil else { return }
        throw CommandRefusal(
            .conflict, "'\(deployment.name)' is an alias of the deployment '\(aliased.name)'; choose another name.")
    }

    private func demand(_ deployment: Deployment, _ stamp: Stamp) throws(CommandRefusal) -> [ClusterEvent] {
        if deployments[deployment.name] != nil {
            return sleeping[deployment.name] == nil ? [] : [.deploymentSlept(deployment.name, false)]
        }
        guard settings[Self.autoDeploySetting]?.value != "off" else { throw Self.noDeployment(deployment.name) }
        try check(deployment)
        var deployment = deployment
        deployment.isAutomatic = true
        deployment.stamp = stamp
        deployment.wish = stamp
        return [.deploymentSet(deployment)]
    }

    /// A new time is no new wish for stages, so what serves goes on.
    private func keep(
        _ name: String, _ milliseconds: UInt64?, _ stamp: Stamp, _ wall: Int64
    ) throws(CommandRefusal) -> [ClusterEvent] {
        guard var deployment = deployments[name] else { throw Self.noDeployment(name) }
        if milliseconds == 0 { return sleep(name, wall) }
        let time = milliseconds.map { max($0, Limits.leastKeepAliveMilliseconds) }
        guard deployment.keepAliveMilliseconds != time else { return [] }
        deployment.keepAliveMilliseconds = time
        deployment.stamp = stamp
        return [.deploymentSet(deployment)]
    }

    /// What nobody but a request wished for is forgotten; what somebody deployed sleeps.
    private func sleep(_ name: String, _ wall: Int64) -> [ClusterEvent] {
        guard let deployment = deployments[name], sleeping[name] == nil else { return [] }
        if deployment.isAutomatic { return removal(of: name, stamp: deployment.stamp, wall: wall) }
        return [.deploymentSlept(name, true)]
    }

    /// What serves a deployment ends with it, in one step: the next deployment of that name, which may be of another
    /// model, must not be answered by what this one left.
    private func removal(of name: String, stamp: Stamp, wall: Int64) -> [ClusterEvent] {
        let active = placements.values.filter { $0.replica.deployment == name && $0.phase == .active }
        return [.deploymentRemoved(name, stamp: stamp)]
            + active.prefix(Limits.eventsPerEntry - 1).map {
                .placementAdvanced($0.epoch, to: .draining, at: wall, note: "not wanted any more")
            }
    }

    /// The setting that forbids deployments made by first requests, with the value `off`.
    package static let autoDeploySetting = "auto-deploy"

    private func events(forOwn action: Command.Action, term: UInt64, wall: Int64) -> [ClusterEvent] {
        switch action {
        case .begin(var placement):
            guard placements.count < Limits.placementCount, !placement.stages.isEmpty else { return [] }
            placement.epoch = Epoch(term: term, number: lastEpoch + 1)
            placement.phase = .loading
            placement.since = wall
            return [.placementBegan(placement)]
        case .advance(let epoch, let from, let to, let note):
            guard placements[epoch]?.phase == from, from < to else { return [] }
            return [.placementAdvanced(epoch, to: to, at: wall, note: note)]
        case .end(let epoch, let reason):
            return placements[epoch] == nil ? [] : [.placementEnded(epoch, reason: reason)]
        case .remember(let key, let record):
            guard deployments[key.deployment] != nil else { return [] }
            return replicas[key] == record ? [] : [.replicaChanged(key, record)]
        case .exclude(let exclusion): return deployments[exclusion.deployment] == nil ? [] : [.nodeExcluded(exclusion)]
        case .sleep(let name): return sleep(name, wall)
        case .changeVoters(let nodes): return nodes == voters ? [] : [.votersChanged(nodes)]
        default: return []
        }
    }

    /// What a branch knows better, key by key: the later stamp wins, and the order of merging does not matter.
    private func events(merging content: BranchContent, at wall: Int64) -> [ClusterEvent] {
        var events: [ClusterEvent] = counts(content.lastEpoch) ? [.epochsCounted(content.lastEpoch)] : []
        for member in content.members where isNews(member) { events.append(.memberSet(member)) }
        for removal in content.removedMembers where isNews(removal, of: removal.node) {
            events.append(.memberRemoved(removal.node, stamp: removal.stamp))
        }
        for deployment in content.deployments where isNews(deployment) { events.append(.deploymentSet(deployment)) }
        for removal in content.removedDeployments where isNews(removal, ofDeployment: removal.name) {
            events.append(.deploymentRemoved(removal.name, stamp: removal.stamp))
        }
        for named in content.settings where isNews(named.setting, named.name) {
            events.append(.settingSet(named.name, named.setting))
        }
        for placement in content.placements where isNews(placement) {
            // It serves already; it enters as loading only to take its sibling's place in one step.
            var entering = placement
            entering.phase = .canary
            events.append(.placementBegan(entering))
            events.append(.placementAdvanced(entering.epoch, to: .active, at: wall, note: "served while cut off"))
        }
        return Array(events.prefix(Limits.eventsPerEntry))
    }

    /// What a branch says, to be merged somewhere else.
    var content: BranchContent {
        var content = BranchContent()
        content.members = members.values
        content.deployments = deployments.values
        content.settings = settings.elements.map { .init(name: $0.key, setting: $0.value) }
        content.removedMembers = removedMembers.elements.map { .init(node: $0.key, stamp: $0.value) }
        content.removedDeployments = removedDeployments.elements.map { .init(name: $0.key, stamp: $0.value) }
        content.placements = placements.values.filter { $0.phase == .active }
        content.lastEpoch = lastEpoch
        return content
    }

    /// The part of a branch's content that this state does not know yet.
    func news(in content: BranchContent) -> BranchContent {
        var news = BranchContent()
        news.members = content.members.filter(isNews)
        news.deployments = content.deployments.filter(isNews)
        news.settings = content.settings.filter { isNews($0.setting, $0.name) }
        news.removedMembers = content.removedMembers.filter { isNews($0, of: $0.node) }
        news.removedDeployments = content.removedDeployments.filter { isNews($0, ofDeployment: $0.name) }
        news.placements = content.placements.filter(isNews)
        news.lastEpoch = counts(content.lastEpoch) ? content.lastEpoch : 0
        return news
    }

    /// Whether epochs have to count on from a number. No branch came to one that is far beyond.
    private func counts(_ number: UInt64) -> Bool { number > lastEpoch && number - lastEpoch <= Limits.epochLeap }

    private func isNews(_ member: Member) -> Bool {
        if let removed = removedMembers[member.node], member.stamp <= removed { return false }
        return members[member.node].map { $0.stamp < member.stamp } ?? true
    }

    private func isNews(_ deployment: Deployment) -> Bool {
        if let removed = removedDeployments[deployment.name], deployment.stamp <= removed { return false }
        return deployments[deployment.name].map { $0.stamp < deployment.stamp } ?? true
    }

    /// What a full table would forget at once is no news, as with tombstones.
    private func isNews(_ setting: Setting, _ name: String) -> Bool {
        if let known = settings[name] { return known.stamp < setting.stamp }
        guard settings.count >= Limits.settingCount else { return true }
        guard let oldest = oldestRemovedSetting else { return false }
        return setting.value != nil || (oldest.stamp, oldest.name) < (setting.stamp, name)
    }

    private func isNews(_ removal: BranchContent.Removal, of node: NodeID) -> Bool {
        if let known = members[node], removal.stamp < known.stamp { return false }
        return Self.isNews(removal.stamp, node, removedMembers)
    }

    private func isNews(_ removal: BranchContent.Removal, ofDeployment name: String) -> Bool {
        if let known = deployments[name], removal.stamp < known.stamp { return false }
        return Self.isNews(removal.stamp, name, removedDeployments)
    }

    /// A tombstone that a full table would forget at once is no news, or it would be told for ever.
    private static func isNews<Key>(_ stamp: Stamp, _ key: Key, _ tombstones: OrderedTable<Key, Stamp>) -> Bool {
        if let known = tombstones[key] { return known < stamp }
        guard tombstones.count >= Limits.tombstoneCount else { return true }
        return (tombstones.values.min() ?? .zero) < stamp
    }

    /// A placement is taken over when its replica is wanted and nothing of a later epoch serves or loads it.
    private func isNews(_ placement: PlacedReplica) -> Bool {
        guard let deployment = deployments[placement.replica.deployment],
            placement.replica.index < deployment.replicas, placements[placement.epoch] == nil
        else { return false }
        return placements(of: placement.replica).allSatisfy { $0.epoch < placement.epoch }
    }
}
