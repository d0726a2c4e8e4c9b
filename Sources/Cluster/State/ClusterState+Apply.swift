import Vocabulary

extension ClusterState {
    /// Applies the events of one entry; the caller MUST pass the entry behind the last one applied.
    package mutating func apply(_ entry: LogEntry) {
        precondition(entry.index == index + 1, "entry \(entry.index) does not follow \(index)")
        index = entry.index
        for record in entry.events { apply(record.event) }
        if let command = entry.command { results.record(command, index: entry.index, stamp: entry.stamp) }
    }

    /// Applies one event. Total: an event that does not fit the state (an epoch that is gone, an older stamp, a full
    /// table) changes nothing, and it changes nothing on every node alike.
    mutating func apply(_ event: ClusterEvent) {
        switch event {
        case .founded(let id, let member):
            guard cluster == 0 else { return }
            cluster = id
            set(member)
            voters = [member.node]
        case .termBegan, .unknown: break
        case .memberSet(let member): set(member)
        case .memberRemoved(let node, let stamp): remove(node, stamp)
        case .votersChanged(let nodes): voters = nodes
        case .deploymentSet(let deployment): set(deployment)
        case .deploymentRemoved(let name, let stamp): remove(name, stamp)
        case .settingSet(let name, let setting): set(setting, of: name)
        case .placementBegan, .placementAdvanced, .placementEnded, .epochsCounted: applyPlacement(event)
        case .replicaChanged(let key, let record):
            guard record == nil || replicas[key] != nil || replicas.count < Limits.placementCount else { return }
            replicas[key] = record
        case .nodeExcluded(let exclusion):
            exclusions.removeAll { $0.deployment == exclusion.deployment && $0.node == exclusion.node }
            exclusions.append(exclusion)
            if exclusions.count > Limits.exclusionCount { exclusions.removeFirst() }
        case .deploymentSlept(let name, let sleeps):
            guard deployments[name] != nil else { return }
            sleeping[name] = sleeps ? true : nil
        }
    }

    private mutating func applyPlacement(_ event: ClusterEvent) {
        switch event {
        case .placementBegan(let placement):
            guard placements[placement.epoch] == nil, placements.count < Limits.placementCount else { return }
            placements[placement.epoch] = placement
            replicas[placement.replica]?.isShortfall = false
            lastEpoch = max(lastEpoch, placement.epoch.number)
        case .placementAdvanced(let epoch, let phase, let time, let note):
            guard var placement = placements[epoch], placement.phase < phase else { return }
            if phase == .active { drainSiblings(of: placement, at: time) }
            placement.phase = phase
            placement.since = time
            placement.note = note
            placements[epoch] = placement
        case .placementEnded(let epoch, _): placements[epoch] = nil
        case .epochsCounted(let number): lastEpoch = max(lastEpoch, number)
        default: break
        }
    }

    /// The cut-over is one event: there is no state in which two epochs of a replica serve, or none does.
    private mutating func drainSiblings(of placement: PlacedReplica, at time: Int64) {
        for var other in placements(of: placement.replica) where other.epoch != placement.epoch {
            guard other.phase == .active else { continue }
            other.phase = .draining
            other.since = time
            other.note = "epoch \(placement.epoch) took over"
            placements[other.epoch] = other
        }
    }

    private mutating func set(_ member: Member) {
        if let removed = removedMembers[member.node] {
            guard removed < member.stamp else { return }
            removedMembers[member.node] = nil
        }
        var member = member
        if let known = members[member.node] {
            guard known.stamp < member.stamp else { return }
            member.admittedAt = known.admittedAt
        } else {
            guard members.count < Limits.memberCount else { return }
            member.admittedAt = index
        }
        members[member.node] = member
    }

    private mutating func remove(_ node: NodeID, _ stamp: Stamp) {
        if let known = members[node], stamp < known.stamp { return }
        members[node] = nil
        removedMembers[node] = max(stamp, removedMembers[node] ?? .zero)
        Self.forgetOldest(&removedMembers)
    }

    private mutating func set(_ deployment: Deployment) {
        if let removed = removedDeployments[deployment.name] {
            guard removed < deployment.stamp else { return }
            removedDeployments[deployment.name] = nil
        }
        if let known = deployments[deployment.name] {
            guard known.stamp < deployment.stamp else { return }
            if known.wish == deployment.wish, known.wish != .zero {
                deployments[deployment.name] = deployment
                return
            }
        } else {
            guard deployments.count < Limits.deploymentCount else { return }
        }
        deployments[deployment.name] = deployment
        sleeping[deployment.name] = nil
        // A new wish is a new start: what went wrong with the old one does not count against it.
        replicas.removeAll { $0.key.deployment == deployment.name }
        exclusions.removeAll { $0.deployment == deployment.name }
    }

    private mutating func remove(_ name: String, _ stamp: Stamp) {
        if let known = deployments[name], stamp < known.stamp { return }
        deployments[name] = nil
        sleeping[name] = nil
        replicas.removeAll { $0.key.deployment == name }
        exclusions.removeAll { $0.deployment == name }
        removedDeployments[name] = max(stamp, removedDeployments[name] ?? .zero)
        Self.forgetOldest(&removedDeployments)
    }

    /// A removed setting stays, so that merges know of the removal, until its place is needed.
    private mutating func set(_ setting: Setting, of name: String) {
        if let known = settings[name], known.stamp >= setting.stamp { return }
        settings[name] = setting
        guard settings.count > Limits.settingCount else { return }
        settings[oldestRemovedSetting?.name ?? name] = nil
    }

    /// The removed setting that a full table forgets next.
    var oldestRemovedSetting: (stamp: Stamp, name: String)? {
        settings.elements.filter { $0.value.value == nil }.map { (stamp: $0.value.stamp, name: $0.key) }
            .min { ($0.stamp, $0.name) < ($1.stamp, $1.name) }
    }

    private static func forgetOldest<Key>(_ tombstones: inout OrderedTable<Key, Stamp>) {
        guard tombstones.count > Limits.tombstoneCount else { return }
        let oldest = tombstones.elements.min { $0.value < $1.value }
        if let oldest { tombstones[oldest.key] = nil }
    }
}
