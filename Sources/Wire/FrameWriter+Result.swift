package import Vocabulary

/// Layout of a sampled token on the wire.
enum ResultLayout {
    /// Bytes of a token record without log-probabilities.
    static let tokenByteCount = 12
    /// Flag: a log-probability and its alternatives follow the record.
    static let logprobFlag: UInt16 = 1
    /// Flag: a vector follows the record (and the log-probability).
    static let vectorFlag: UInt16 = 2
    /// Flag: guesses of what follows are at the record's end.
    static let guessFlag: UInt16 = 4
    /// Bytes of a guess.
    static let guessByteCount = 8
    /// Bytes of a candidate without its text.
    static let candidateByteCount = 10
}

extension FrameWriter {
    /// Appends the result of step `step`: one entry per sampled row, in row order; none for a step that samples none.
    ///
    /// **Throws:** `cannotEncode` for too many tokens or a negative position, `limitExceeded` for too many alternatives
    /// or beyond the link's budget. A throw leaves the writer as it was.
    package mutating func result(of step: UInt32, _ tokens: [SampledToken]) throws(WireError) {
        try frame(.result, stream: step) { writer throws(WireError) in
            try writer.put16(tokens.count, "result.count", limit: Limits.rows)
            try writer.put(UInt16(0))
            for token in tokens {
                try writer.put(token.lane.index)
                try writer.put(
                    (token.logprob == nil ? 0 : ResultLayout.logprobFlag)
                        | (token.vector.isEmpty ? 0 : ResultLayout.vectorFlag)
                        | (token.guesses.isEmpty ? 0 : ResultLayout.guessFlag))
                try writer.putPosition(token.position, "result.position")
                try writer.put(token.token)
                if let logprob = token.logprob { try writer.put(logprob) }
                if !token.vector.isEmpty { try writer.putVector(token.vector, "result.vector") }
                if !token.guesses.isEmpty { try writer.put(token.guesses) }
            }
        }
    }

    /// u32 number of floats and the floats.
    mutating func putVector(_ vector: [Float], _ field: String) throws(WireError) {
        try put32(vector.count, field, limit: Limits.width)
        for number in vector { try put(number) }
    }

    /// u16 number of guesses, u16 reserved, then each as i32 token and f32 probability.
    private mutating func put(_ guesses: [TokenGuess]) throws(WireError) {
        try put16(guesses.count, "result.guesses", limit: Limits.guesses)
        try put(UInt16(0))
        for guess in guesses {
            try put(guess.token)
            try putProbability(guess.probability, "result.guess.probability")
        }
    }

    /// A log-probability entry: u16 number of alternatives, the chosen candidate, the alternatives.
    mutating func put(_ logprob: TokenLogprob) throws(WireError) {
        try put16(logprob.top.count, "logprob.alternatives", limit: Limits.alternatives)
        try put(logprob.chosen)
        for candidate in logprob.top {
            try put(candidate)
        }
    }

    private mutating func put(_ candidate: TokenLogprob.Candidate) throws(WireError) {
        try put(candidate.token)
        try put(candidate.logprob)
        try put16(candidate.bytes.count, "logprob.bytes", limit: Limits.tokenBytes)
        try putBytes(unsafe candidate.bytes.span.bytes)
    }
}

extension ByteReader {
    /// The body of a result frame.
    mutating func result(_ bytes: RawSpan) throws(WireError) -> [SampledToken] {
        let count = try shortCount(bytes, "result.count", limit: Limits.rows)
        try reserved16(bytes, "result.reserved")
        try require(ResultLayout.tokenByteCount * count, "result.tokens")
        var tokens: [SampledToken] = []
        tokens.reserveCapacity(count)
        for _ in 0..<count {
            let lane = Lane(try u16(bytes, "result.lane"))
            let flags = try u16(bytes, "result.flags")
            guard flags & ~(ResultLayout.logprobFlag | ResultLayout.vectorFlag | ResultLayout.guessFlag) == 0 else {
                throw .invalidValue(field: "result.flags", offset: offset - 2, value: Int(flags), allowed: "0 … 7")
            }
            let position = try position(bytes, "result.position")
            let token = try i32(bytes, "result.token")
            let logprob = flags & ResultLayout.logprobFlag == 0 ? nil : try logprob(bytes)
            var sampled = SampledToken(lane: lane, position: position, token: token, logprob: logprob)
            if flags & ResultLayout.vectorFlag != 0 { sampled.vector = try vector(bytes, "result.vector") }
            if flags & ResultLayout.guessFlag != 0 { sampled.guesses = try guesses(bytes) }
            tokens.append(sampled)
        }
        try finish("result")
        return tokens
    }

    /// Guesses of what follows a token, at least one.
    private mutating func guesses(_ bytes: RawSpan) throws(WireError) -> [TokenGuess] {
        let count = try shortCount(bytes, "result.guesses", limit: Limits.guesses)
        guard count > 0 else {
            throw .invalidValue(
                field: "result.guesses", offset: offset - 2, value: 0, allowed: "1 … \(Limits.guesses)")
        }
        try reserved16(bytes, "result.guesses.reserved")
        try require(ResultLayout.guessByteCount * count, "result.guesses")
        var guesses: [TokenGuess] = []
        guesses.reserveCapacity(count)
        for _ in 0..<count {
            let token = try i32(bytes, "result.guess.token")
            guesses.append(TokenGuess(token: token, probability: try probability(bytes, "result.guess.probability")))
        }
        return guesses
    }

    /// u32 number of floats, at least 1, and the floats.
    mutating func vector(_ bytes: RawSpan, _ field: String) throws(WireError) -> [Float] {
        let count = try count(bytes, field, limit: Limits.width)
        guard count > 0 else {
            throw .invalidValue(field: field, offset: offset - 4, value: 0, allowed: "1 … \(Limits.width)")
        }
        try require(4 * count, field)
        var vector: [Float] = []
        vector.reserveCapacity(count)
        for _ in 0..<count { vector.append(try f32(bytes, field)) }
        return vector
    }

    /// A log-probability entry.
    mutating func logprob(_ bytes: RawSpan) throws(WireError) -> TokenLogprob {
        let count = try shortCount(bytes, "logprob.alternatives", limit: Limits.alternatives)
        let chosen = try candidate(bytes)
        try require(ResultLayout.candidateByteCount * count, "logprob.alternatives")
        var top: [TokenLogprob.Candidate] = []
        top.reserveCapacity(count)
        for _ in 0..<count {
            top.append(try candidate(bytes))
        }
        return TokenLogprob(chosen: chosen, top: top)
    }

    private mutating func candidate(_ bytes: RawSpan) throws(WireError) -> TokenLogprob.Candidate {
        let token = try i32(bytes, "logprob.token")
        let logprob = try f32(bytes, "logprob.value")
        let count = try shortCount(bytes, "logprob.bytes", limit: Limits.tokenBytes)
        return TokenLogprob.Candidate(
            token: token, bytes: try self.bytes(bytes, count: count, "logprob.bytes"), logprob: logprob)
    }
}
