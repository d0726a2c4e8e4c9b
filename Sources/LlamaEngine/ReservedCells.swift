import CLlama
import Vocabulary

/// Keeps cells for the rest of long prompts, so that the cells of each lie together.
///
/// The library gives rows the next cells that are free. Rows of other lanes are computed between a long prompt's
/// chunks, so their cells would come to lie between the prompt's, and attention of all of them would walk over what is
/// not theirs. So a sequence that no lane has holds cells for the prompt, and gives back those of a chunk right before
/// the library looks for some. That the library then takes them is likely and not relied on. Whenever the library has
/// no cells for rows, all that is kept makes way: a chunk between layers needs its cells twice.
/// docs/decisions/0029-a-prompts-cells-are-kept-for-it.md has the figures.
///
/// **Isolation:** the compute thread.
struct ReservedCells {
    /// What is kept for a lane.
    private struct Reservation {
        /// Positions of the prompt whose cells are kept.
        var positions: Range<Int32>
        /// What is added to a position of the prompt for the one that its cell has meanwhile.
        var offset: Int32
    }

    /// The sequence that holds the cells.
    let sequence: llama_seq_id
    private var reservations: [Reservation?]
    /// Where the prompts of the lanes end, as far as is known.
    private var promptEnds: [Int32]

    /// Cells that are claimed at once: the library fills a mask for each batch that claims some, and others wait.
    private static let longest: Int32 = 4096

    /// Makes it; `sequence` MUST be no lane's.
    init(sequence: llama_seq_id, laneCount: Int) {
        self.sequence = sequence
        reservations = [Reservation?](repeating: nil, count: laneCount)
        promptEnds = [Int32](repeating: 0, count: laneCount)
    }

    /// A request with a prompt of so many tokens has taken the lane.
    mutating func open(_ lane: Int, promptLength: Int, _ memory: llama_memory_t?) {
        unsafe giveBack(lane, memory)
        promptEnds[lane] = Int32(clamping: promptLength)
    }

    /// Positions, from this one on, for which the lane should get cells now; nil when it has some or needs none.
    func missing(_ lane: Int, from position: Int32) -> Range<Int32>? {
        guard reservations[lane] == nil, position < promptEnds[lane] else { return nil }
        return position..<position + min(promptEnds[lane] - position, Self.longest)
    }

    /// Where the positions of new cells begin: the library wants those of a sequence without gaps.
    func start(_ memory: llama_memory_t?) -> Int32 { unsafe llama_memory_seq_pos_max(memory, sequence) + 1 }

    /// The sequence has cells for the positions, which have those from `start` on meanwhile.
    mutating func keep(_ positions: Range<Int32>, for lane: Int, start: Int32) {
        reservations[lane] = Reservation(positions: positions, offset: start - positions.lowerBound)
    }

    /// The lane's rows up to `end` are going to be given cells.
    mutating func take(_ lane: Int, to end: Int32, _ memory: llama_memory_t?) {
        guard let kept = reservations[lane], end > kept.positions.lowerBound else { return }
        let first = kept.positions.lowerBound
        let last = min(end, kept.positions.upperBound)
        _ = unsafe llama_memory_seq_rm(memory, sequence, first + kept.offset, last + kept.offset)
        reservations[lane]?.positions = last..<kept.positions.upperBound
        if last == kept.positions.upperBound { reservations[lane] = nil }
    }

    /// Nothing is kept for the lane any more.
    mutating func giveBack(_ lane: Int, _ memory: llama_memory_t?) {
        unsafe take(lane, to: .max, memory)
        reservations[lane] = nil
        promptEnds[lane] = 0
    }

    /// Nothing is kept any more, nor will be for the prompts there are; answers whether anything was.
    mutating func giveAllBack(_ memory: llama_memory_t?) -> Bool {
        guard reservations.contains(where: { $0 != nil }) else { return false }
        for lane in reservations.indices { unsafe giveBack(lane, memory) }
        return true
    }
}
