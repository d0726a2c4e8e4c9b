import CLlama
import Serving
import Vocabulary

/// Keeps what lanes have behind their sliding windows.
///
/// The library takes a cell for new rows once it lies behind the window of its only sequence, even if others are empty
/// (`llama_kv_cache::find_slot`). Then the beginning of a kept sequence has a hole nobody is told of, and a lane whose
/// wrong guesses are taken back sees less than its window. So one more sequence, which no lane has, holds what the
/// lanes hold, and no cell has only one.
///
/// **Isolation:** the compute thread.
struct WindowKeeper {
    private let sequence: llama_seq_id
    /// Rows a lane may be ahead of what is held: at half a window none of them lies behind one.
    private let slack: Int32
    /// Positions of each lane, from 0, that are held.
    private var held: [Int32]
    /// ... that were computed, and will not be taken back as guesses are.
    private var ends: [Int32]

    /// Makes a keeper for a model with windows of `window` rows; `sequence` MUST be no lane's.
    init(sequence: llama_seq_id, window: Int32, laneCount: Int) {
        self.sequence = sequence
        slack = window / 2
        held = [Int32](repeating: 0, count: laneCount)
        ends = held
    }

    /// Rows were computed. Those behind a lane's first one that samples are guesses, which may be wrong.
    mutating func note(_ rows: ArraySlice<StageRow>, _ memory: llama_memory_t?) {
        var guessing: Set<Lane> = []
        for row in rows where !guessing.contains(row.lane) {
            ends[Int(row.lane.index)] = row.position + 1
            if row.samples { guessing.insert(row.lane) }
        }
        for lane in ends.indices where ends[lane] - held[lane] > slack { unsafe hold(lane, memory) }
    }

    /// A lane got the beginning of another one.
    mutating func copied(_ source: Int, to target: Int, length: Int32) {
        held[target] = min(held[source], length)
        ends[target] = min(ends[source], length)
    }

    /// A lane got a sequence of so many positions that was saved.
    mutating func restored(_ lane: Int, length: Int32) { (held[lane], ends[lane]) = (0, length) }

    /// A lane forgets what it has from a position on.
    mutating func cut(_ lane: Int, to position: Int32, _ memory: llama_memory_t?) {
        ends[lane] = min(ends[lane], position)
        guard held[lane] > position else { return }
        held = [Int32](repeating: 0, count: held.count)
        _ = unsafe llama_memory_seq_rm(memory, sequence, -1, -1)
        for lane in ends.indices where ends[lane] > 0 { unsafe hold(lane, memory) }
    }

    private mutating func hold(_ lane: Int, _ memory: llama_memory_t?) {
        unsafe llama_memory_seq_cp(memory, llama_seq_id(lane), sequence, held[lane], ends[lane])
        held[lane] = ends[lane]
    }
}
