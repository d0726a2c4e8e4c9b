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
        unsafe entries.withUnsafeMutableBufferPointer { target in
            for index in 0..<target.count {
                unsafe target[index] = unsafe llama_token_data(id: Token(index), logit: logits[index], p: 0)
            }
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

    /// Lets a sampler change the candidates, and answers what it answers.
    mutating func withArray(_ body: (UnsafeMutablePointer<llama_token_data_array>) -> Bool) -> Bool {
        unsafe entries.withUnsafeMutableBufferPointer { buffer in
            unsafe array.data = buffer.baseAddress
            let answer = unsafe body(&array)
            // A sampler may hand back a part of the array that starts later.
            if let start = unsafe array.data, let base = buffer.baseAddress, unsafe start != base {
                unsafe memmove(base, start, array.size * MemoryLayout<llama_token_data>.stride)
            }
            unsafe array.data = nil
            return answer
        }
    }

    /// The candidate a sampler selected, else the best one (`greedy`), else the one in whose share of the
    /// probability mass `draw` (0 ..< 1) falls.
    mutating func draw(_ draw: Double, greedy: Bool) -> Token {
        let count = unsafe array.size
        if unsafe array.selected >= 0 { return entries[Int(unsafe array.selected)].id }
        return unsafe entries.withUnsafeMutableBufferPointer { all in
            let candidates = unsafe UnsafeMutableBufferPointer(rebasing: all[..<count])
            var best = 0
            for index in 1..<max(1, count) where unsafe candidates[index].logit > candidates[best].logit {
                best = index
            }
            guard !greedy else { return unsafe candidates[best].id }
            return unsafe Self.draw(draw, candidates, maximum: candidates[best].logit) ?? candidates[best].id
        }
    }

    /// Nil when rounding leaves nothing of the mass.
    ///
    /// An exponential per token of a large vocabulary would take as long as a small layer. What lies `reach` below the
    /// best has less mass together than one rounding of the sum, and is passed over.
    private static func draw(
        _ draw: Double, _ candidates: UnsafeMutableBufferPointer<llama_token_data>, maximum: Float
    ) -> Token? {
        let reach: Float = 36
        var total = 0.0
        for index in 0..<candidates.count {
            let distance = unsafe candidates[index].logit - maximum
            let weight = distance > -reach ? expf(distance) : 0
            unsafe candidates[index].p = weight
            total += Double(weight)
        }
        var rest = draw * total
        for index in 0..<candidates.count {
            rest -= unsafe Double(candidates[index].p)
            if rest < 0 { return unsafe candidates[index].id }
        }
        return nil
    }
}

extension UnsafeBufferPointer<Float> {
    /// Index of the first largest element; NaN is never the largest.
    var indexOfMaximum: Token {
        // Sixteen at once for the value, then a search for where it is: the plain loop takes five times as long.
        let width = 16
        let whole = count - count % width
        var lanes = SIMD16<Float>(repeating: -.infinity)
        let bytes = UnsafeRawBufferPointer(self)
        for start in stride(from: 0, to: whole * MemoryLayout<Float>.stride, by: MemoryLayout<SIMD16<Float>>.stride) {
            let next = unsafe bytes.loadUnaligned(fromByteOffset: start, as: SIMD16<Float>.self)
            lanes.replace(with: next, where: next .> lanes)
        }
        var value = lanes.max()
        for index in whole..<count where unsafe self[index] > value { value = unsafe self[index] }
        return unsafe Token(firstIndex(of: value) ?? 0)
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
