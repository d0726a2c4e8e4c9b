import CLlama
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The candidates of one token choice: scratch memory reused for every choice of a stage.
@safe struct CandidateBuffer {
    private var entries: [llama_token_data]
    private var array = unsafe llama_token_data_array(data: nil, size: 0, selected: -1, sorted: false)

    /// Makes scratch for a vocabulary.
    init(vocabularySize: Int) {
        entries = [llama_token_data](repeating: llama_token_data(id: 0, logit: 0, p: 0), count: vocabularySize)
    }

    /// Takes every token with its logit.
    mutating func fill(_ logits: UnsafeBufferPointer<Float>) {
        precondition(logits.count == entries.count, "\(logits.count) logits for \(entries.count) tokens")
        for index in logits.indices {
            entries[index] = unsafe llama_token_data(id: Token(index), logit: logits[index], p: 0)
        }
        unsafe array = unsafe llama_token_data_array(data: nil, size: entries.count, selected: -1, sorted: false)
    }

    /// Takes one token, for a grammar to judge.
    mutating func fill(single token: Token) {
        entries[0] = llama_token_data(id: token, logit: 1, p: 0)
        unsafe array = unsafe llama_token_data_array(data: nil, size: 1, selected: -1, sorted: false)
    }

    /// Whether any candidate is allowed.
    var hasChoice: Bool {
        let count = unsafe array.size
        return entries[..<count].contains { $0.logit > -.infinity }
    }

    /// The logit of the first candidate.
    var best: Float { entries[0].logit }

    /// Lets a sampler change the candidates.
    mutating func withArray(_ body: (UnsafeMutablePointer<llama_token_data_array>) -> Void) {
        unsafe entries.withUnsafeMutableBufferPointer { buffer in
            unsafe array.data = buffer.baseAddress
            unsafe body(&array)
            // A sampler may hand back a part of the array that starts later.
            if let start = unsafe array.data, let base = buffer.baseAddress, unsafe start != base {
                unsafe memmove(base, start, array.size * MemoryLayout<llama_token_data>.stride)
            }
            unsafe array.data = nil
        }
    }

    /// The candidate a sampler selected, else the best one (`greedy`), else the one in whose share of the
    /// probability mass `draw` (0 ..< 1) falls.
    func draw(_ draw: Double, greedy: Bool) -> Token {
        let count = unsafe array.size
        if unsafe array.selected >= 0 { return entries[Int(unsafe array.selected)].id }
        let candidates = entries[..<count]
        var best = candidates.startIndex
        for index in candidates.indices where candidates[index].logit > candidates[best].logit { best = index }
        if greedy { return candidates[best].id }
        let maximum = candidates[best].logit
        var total = 0.0
        for candidate in candidates { total += exp(Double(candidate.logit - maximum)) }
        var rest = draw * total
        for candidate in candidates {
            rest -= exp(Double(candidate.logit - maximum))
            if rest < 0 { return candidate.id }
        }
        return candidates[best].id
    }
}

extension UnsafeBufferPointer<Float> {
    /// Index of the first largest element.
    var indexOfMaximum: Token {
        var best = 0
        var value = -Float.infinity
        for index in indices where unsafe self[index] > value {
            value = unsafe self[index]
            best = index
        }
        return Token(best)
    }

    /// `log Σ exp(x)`, computed without overflow.
    var logSumExp: Float {
        let maximum = unsafe self[Int(indexOfMaximum)]
        var sum = 0.0
        for index in indices { sum += unsafe exp(Double(self[index] - maximum)) }
        return maximum + Float(log(sum))
    }

    /// Indices of the `count` largest elements, largest first; equal ones in index order.
    func largest(_ count: Int) -> [Token] {
        guard count > 0 else { return [] }
        var kept: [Token] = []
        for index in indices {
            let value = unsafe self[index]
            if kept.count == count, let last = kept.last, unsafe self[Int(last)] >= value { continue }
            let place = kept.firstIndex { unsafe self[Int($0)] < value } ?? kept.count
            kept.insert(Token(index), at: place)
            if kept.count > count { kept.removeLast() }
        }
        return kept
    }
}
