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
    /// Rows of a window.
    private let window: Int32
    /// Positions of each lane, from 0, that are held.
    private var held: [Int32]
    /// ... that were computed, and will not be taken back as guesses are.
    private var ends: [Int32]
    /// Lanes have forgotten some of what is held.
    private var isStale = false

    /// Guesses behind a lane's newest token, at most.
    private static let guesses: Int32 = 32

    /// Makes a keeper for a model with windows of `window` rows; `sequence` MUST be no lane's.
    init(sequence: llama_seq_id, window: Int32, laneCount: Int) {
        self.sequence = sequence
        self.window = max(1, window)
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
        for lane in ends.indices where isDue(lane) { unsafe hold(lane, memory) }
    }

    /// Whether some of a lane's rows could lie behind a window before it is looked at again. Sliding ones reach half a
    /// window further back than that; of those that come one behind the other, all of one do when the next one begins.
    private func isDue(_ lane: Int) -> Bool {
        guard ends[lane] > held[lane] else { return false }
        return ends[lane] - held[lane] > window / 2 || held[lane] / window != (ends[lane] + Self.guesses) / window
    }

    /// Gives back what lanes have forgotten; to be called before rows are given cells.
    mutating func settle(_ memory: llama_memory_t?) {
        guard isStale else { return }
        isStale = false
        held = [Int32](repeating: 0, count: held.count)
        _ = unsafe llama_memory_seq_rm(memory, sequence, -1, -1)
        for lane in ends.indices where ends[lane] > 0 { unsafe hold(lane, memory) }
    }

    /// A lane got the beginning of another one.
    mutating func copied(_ source: Int, to target: Int, length: Int32) {
        held[target] = min(held[source], length)
        ends[target] = min(ends[source], length)
    }

    /// A lane got a sequence of so many positions that was saved.
    mutating func restored(_ lane: Int, length: Int32) { (held[lane], ends[lane]) = (0, length) }

    /// A lane forgets what it has from a position on.
    mutating func cut(_ lane: Int, to position: Int32) {
        ends[lane] = min(ends[lane], position)
        guard held[lane] > position else { return }
        held[lane] = position
        isStale = true
    }

    private mutating func hold(_ lane: Int, _ memory: llama_memory_t?) {
        unsafe llama_memory_seq_cp(memory, llama_seq_id(lane), sequence, held[lane], ends[lane])
        held[lane] = ends[lane]
    }
}
