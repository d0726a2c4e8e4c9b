import Vocabulary

/// A command a caller of this node waits for.
struct PendingCommand: Sendable {
    var command: Command
    var nextTry: Instant
    var deadline: Instant
}

extension ControlPlane {
    mutating func submit(_ number: UInt64, _ action: Command.Action, now: Instant) {
        let id = CommandID(origin: node, number: number)
        guard pending[number] == nil else { return }
        guard pending.count < Limits.pendingCommands else {
            let refusal = CommandRefusal(
                .overloaded, "\(pending.count) commands wait on this node already; try again in a second.")
            effects.replies.append(.init(command: id, outcome: .refused(refusal)))
            return
        }
        guard action.isForCallers, !hasLeft else {
            let refusal = CommandRefusal(.invalid, "This is decided by the cluster itself.")
            effects.replies.append(.init(command: id, outcome: .refused(refusal)))
            return
        }
        let command = Command(id: id, issued: clock.next(now: now), action: action)
        pending[number] = PendingCommand(
            command: command, nextTry: now, deadline: now.advanced(by: timings.commandDeadline))
    }

    /// The caller learns how its command ended; who did not ask here is not told here.
    mutating func end(_ id: CommandID, _ outcome: CommandOutcome) {
        guard id.origin == node, pending[id.number] != nil else { return }
        pending[id.number] = nil
        effects.replies.append(.init(command: id, outcome: outcome))
    }

    /// Sends commands to who leads now, as often as it takes: their ids keep them from being carried out twice.
    mutating func retryCommands(now: Instant) {
        for row in pending.elements where row.value.nextTry <= now || row.value.deadline <= now {
            let id = row.value.command.id
            if let index = state.results.index(of: id) {
                end(id, .done(index: index))
            } else if row.value.deadline <= now {
                let refusal = CommandRefusal(
                    .unanswered,
                    "No leader answered within \(timings.commandDeadline.components.seconds) s; it may still be "
                        + "carried out. See `skein status`.")
                end(id, .refused(refusal))
            } else {
                pending[row.key]?.nextTry = now.advanced(by: timings.commandRetry)
                route(row.value.command, now: now)
            }
        }
    }

    mutating func route(_ command: Command, now: Instant) {
        if leading != nil || ruling != nil {
            take(command, from: command.id.origin, now: now)
        } else if let leader = currentLeader, leader != node {
            effects.send(leader, .propose(command))
        }
    }

    /// Carries a command out when this node leads, and else passes one from a newcomer on.
    mutating func take(_ command: Command, from sender: NodeID, now: Instant) {
        guard command.action.isForCallers else { return }
        clock.observe(command.issued)
        if case .retire(let parting) = command.action {
            // Only a majority changes who the majority is, one at a time; and nobody asks for another.
            guard parting == command.id.origin, leading == nil || mayRetire(parting), ruling == nil else { return }
        }
        let worker = [sender, command.id.origin].first { isWorker($0) }
        if let refusal = Self.refusal(of: command.action, by: worker) {
            refuse(command.id, refusal)
            return
        }
        if ruling != nil {
            takeDegraded(command, now: now)
            return
        }
        guard let current = leading else {
            // Whoever knocks at the wrong door is led to the right one, once.
            if sender == command.id.origin, let leader = currentLeader, leader != node, leader != sender {
                effects.send(leader, .propose(command))
            }
            return
        }
        guard now < current.leaseUntil, current.head.results.index(of: command.id) == nil else { return }
        guard command.issued > current.head.results.floor else {
            refuse(command.id, CommandRefusal(.tooOld, "The command is too old to tell whether it was carried out."))
            return
        }
        guard log.last.index - commit < UInt64(Limits.uncommittedEntries) else {
            let waiting = log.last.index - commit
            refuse(command.id, CommandRefusal(.overloaded, "\(waiting) entries wait to be committed; try again later."))
            return
        }
        let stamp = clock.next(now: now)
        do throws(CommandRefusal) {
            let events = try current.head.events(
                for: command.action, stamp: stamp, term: term, wall: clock.wall(now: now))
            if let refusal = oversize(events) { throw refusal }
            appendOwn(events, command: command.id, stamp: stamp, now: now)
        } catch {
            refuse(command.id, error)
        }
    }

    /// Why an action is nobody's to ask for, or not a worker's: it was let in without the cluster's key, and must not
    /// come to it another way.
    private static func refusal(of action: Command.Action, by worker: NodeID?) -> CommandRefusal? {
        let isCoordinator =
            switch action {
            case .configure(let name, _): name == coordinatorSetting
            case .merge(let content): content != content.admissible(from: nil)
            default: false
            }
        if isCoordinator {
            return CommandRefusal(
                .conflict, "The setting '\(coordinatorSetting)' is made by the cluster itself; leave it out.")
        }
        guard let worker else { return nil }
        let isAllowed =
            switch action {
            case .configure(let name, _): !name.hasPrefix(joinTokenPrefix)
            case .remove: false
            case .admit(let member): member.node == worker && member.role == .worker
            case .merge(let content): content == content.admissible(from: worker)
            default: true
            }
        return isAllowed ? nil : CommandRefusal(.conflict, "A worker may not decide this; ask another node.")
    }

    /// Whether a member is known as a worker. What the majority decided of it counts, and else what a branch says.
    func isWorker(_ other: NodeID) -> Bool {
        (state.members[other] ?? effectiveState.members[other])?.role == .worker
    }

    /// Settings that begin so let nodes in.
    package static let joinTokenPrefix = "join-token/"

    private mutating func takeDegraded(_ command: Command, now: Instant) {
        guard let state = branch?.state else { return }
        if state.results.index(of: command.id) == nil {
            do throws(CommandRefusal) {
                let events = try state.events(
                    for: command.action, stamp: clock.next(now: now), term: term, wall: clock.wall(now: now))
                if let refusal = oversize(events) { throw refusal }
                ruleEvents(events, command: command.id, now: now)
            } catch {
                refuse(command.id, error)
                return
            }
        }
        if command.id.origin == node {
            end(command.id, .doneDegraded)
        } else {
            effects.send(command.id.origin, .doneDegraded(command.id))
        }
    }

    private mutating func refuse(_ id: CommandID, _ refusal: CommandRefusal) {
        if id.origin == node {
            end(id, .refused(refusal))
        } else {
            effects.send(id.origin, .refused(id, refusal))
        }
    }

    /// Carries out what the reconcilers of this leader want.
    mutating func perform(_ action: Command.Action, now: Instant) {
        let stamp = clock.next(now: now)
        let wall = clock.wall(now: now)
        if let head = leading?.head {
            guard log.last.index - commit < UInt64(Limits.uncommittedEntries),
                let events = try? head.events(for: action, stamp: stamp, term: term, wall: wall), !events.isEmpty,
                oversize(events) == nil
            else { return }
            appendOwn(events, command: nil, stamp: stamp, now: now)
        } else if ruling != nil, let head = branch?.state {
            guard var events = try? head.events(for: action, stamp: stamp, term: term, wall: wall), !events.isEmpty,
                oversize(events) == nil
            else { return }
            if case .placementBegan(var placement) = events[0] {
                // Two parts may count on from the same number in the same term: the leader's id tells them apart.
                let number = (((head.lastEpoch >> 12) + 1) << 12) | (node.value & 0xFFF)
                placement.epoch = Epoch(term: term, number: number)
                events[0] = .placementBegan(placement)
            }
            ruleEvents(events, command: nil, now: now)
        }
    }

    /// Voters change one at a time, and only by a leader that has committed an entry of its own term: else two
    /// majorities could exist that do not meet.
    var mayChangeVoters: Bool {
        guard let leading else { return false }
        return commit >= leading.firstIndex && log.voters(after: commit) == nil
    }
}
