import Cluster
import Vocabulary

/// The way to the coordinator and back, with its faults.
extension World {
    /// Longest time a question that was given up may still be on its way. **Units:** milliseconds.
    private static let lateMilliseconds = 9000

    /// Sends a question on its way.
    mutating func askCoordinator(_ question: CoordinatorQuestion, _ index: Int) {
        let life = nodes[index].life
        func milliseconds(_ count: Int) -> Int64 { Int64(count) * 1_000_000 }
        let way = 200_000 + milliseconds(coordinatorRandom.below(isCalm ? 3 : 20))
        func event(_ answers: Bool) -> WorldEvent.Kind {
            .ask(node: index, life: life, question, answers: answers)
        }
        let isCut = coordinatorCuts[index] != nil || time < coordinator.isDownUntil
        if isCut, !isCalm {
            heap.push(
                .coordinatorAnswer(node: index, life: life, question.number, .unreachable("no way")),
                at: time + way + milliseconds(coordinatorRandom.below(2000)))
            return
        }
        switch isCalm ? 99 : coordinatorRandom.below(100) {
        case 0..<3:
            // It arrives, and its answer is lost.
            heap.push(event(false), at: time + way)
            heap.push(
                .coordinatorAnswer(node: index, life: life, question.number, .unreachable("lost")),
                at: time + way + milliseconds(coordinatorRandom.below(2000)))
        case 3..<6:
            // Given up, and carried out long after.
            heap.push(
                .coordinatorAnswer(node: index, life: life, question.number, .unreachable("late")),
                at: time + way + milliseconds(coordinatorRandom.below(500)))
            heap.push(event(false), at: time + way + milliseconds(coordinatorRandom.below(Self.lateMilliseconds)))
        case 6..<12: heap.push(event(true), at: time + way + milliseconds(coordinatorRandom.below(4000)))
        default: heap.push(event(true), at: time + way)
        }
    }

    /// A question arrives; what a crashed node had asked arrives, too.
    mutating func reachCoordinator(_ index: Int, _ life: Int, _ question: CoordinatorQuestion, answers: Bool) {
        let lease = settings[index].timings.coordinatorLease.nanoseconds
        let answer = coordinator.answer(question.request, from: nodes[index].id, at: time, lease: lease)
        if case .won = answer { checkLeases(but: index) }
        guard answers else { return }
        let way = 200_000 + Int64(coordinatorRandom.below(isCalm ? 3 : 20)) * 1_000_000
        heap.push(.coordinatorAnswer(node: index, life: life, question.number, answer), at: time + way)
    }

    /// Whoever led must have stepped down by its own clock before somebody else could win.
    private mutating func checkLeases(but winner: Int) {
        guard !coordinator.settleTaken() else { return }
        for index in nodes.indices where index != winner && nodes[index].isUp {
            if nodes[index].brain.leads(at: nodes[index].clock(time)) {
                ledger.report("node \(index) believes in its lease while node \(winner) leads")
            }
        }
    }

    /// Breaks something between the nodes and the coordinator, or plans to mend it.
    mutating func coordinatorFault() {
        guard !isCalm, let period = scenario.faultPeriod else { return }
        let victim = coordinatorRandom.below(nodes.count)
        let pause = Int64(200 + coordinatorRandom.below(5000)) * 1_000_000
        switch coordinatorRandom.below(4) {
        case 0: coordinator.isDownUntil = max(coordinator.isDownUntil, time + pause)
        case 1, 2:
            coordinatorCuts[victim] = max(coordinatorCuts[victim] ?? 0, time + pause)
            heap.push(.healCoordinator(node: victim), at: time + pause)
        default: coordinator.takeLease()
        }
        heap.push(.coordinatorFault, at: time + Int64(coordinatorRandom.below(Int(3 * period.nanoseconds)) + 1))
    }
}
