package import Vocabulary

/// One token's place in a microbatch.
///
/// The same rows travel with the activations through every stage, so each stage can drive its own KV cache and the
/// last one knows the token history for penalties and grammar.
package struct StageRow: Hashable, Sendable {
    /// The sequence the token belongs to.
    package var lane: Lane
    /// The token's position in its sequence, from 0.
    package var position: Int32
    /// The token's id.
    package var token: Token
    /// Whether the last stage samples a next token from this row's logits.
    package var samples: Bool

    /// Makes a row.
    package init(lane: Lane, position: Int32, token: Token, samples: Bool) {
        self.lane = lane
        self.position = position
        self.token = token
        self.samples = samples
    }
}

/// A change of sequence state that every stage applies in the same order, between microbatches.
package enum SequenceOperation: Hashable, Sendable {
    /// A new request takes the lane. The lane MUST be empty. The last stage builds its sampler from `sampling`.
    case open(lane: Lane, sampling: LaneSampling)
    /// Forget all positions from `position` on.
    case trim(lane: Lane, from: Int32)
    /// Make `to` (which MUST be empty) share the first `length` positions of `from`.
    case copy(from: Lane, to: Lane, length: Int32)
    /// Forget the whole sequence; the lane is empty afterwards.
    case free(lane: Lane)
}

/// What the last stage needs to sample for one lane.
package struct LaneSampling: Hashable, Sendable, Codable {
    /// The client's parameters; `seed` is always set here.
    package var parameters: SamplingParameters
    /// GBNF grammar that constrains the answer; nil for free text.
    package var grammar: LaneGrammar?
    /// Alternatives reported per token; nil reports no log-probabilities.
    package var topLogprobs: Int?
    /// Number of prompt tokens: the answer's position 0 is the token sampled from row `promptLength - 1`.
    package var promptLength: Int32

    /// Makes the sampling state of a lane.
    package init(
        parameters: SamplingParameters, grammar: LaneGrammar? = nil, topLogprobs: Int? = nil, promptLength: Int32
    ) {
        self.parameters = parameters
        self.grammar = grammar
        self.topLogprobs = topLogprobs
        self.promptLength = promptLength
    }
}

/// A grammar that constrains an answer.
package struct LaneGrammar: Hashable, Sendable, Codable {
    /// What makes a lazy grammar start.
    package enum Trigger: Hashable, Sendable, Codable {
        /// A regular expression over the whole answer so far; the grammar starts at its first group.
        case pattern(String)
        /// A single token.
        case token(Token)
    }

    /// GBNF text with a rule `root`.
    package var text: String
    /// Nil applies the grammar from the first token; otherwise it sleeps until one of these is met.
    package var triggers: [Trigger]?

    /// Makes a grammar.
    package init(text: String, triggers: [Trigger]? = nil) {
        self.text = text
        self.triggers = triggers
    }
}

/// A token chosen by the last stage.
package struct SampledToken: Hashable, Sendable {
    /// The sequence it continues.
    package var lane: Lane
    /// Its position in the sequence: one after the row it was sampled from.
    package var position: Int32
    /// The token.
    package var token: Token
    /// Its log-probability and the alternatives, when the lane asked for them (token bytes are filled in later by
    /// the entry stage's tokenizer).
    package var logprob: TokenLogprob?

    /// Makes a sampled token.
    package init(lane: Lane, position: Int32, token: Token, logprob: TokenLogprob? = nil) {
        self.lane = lane
        self.position = position
        self.token = token
        self.logprob = logprob
    }
}

/// Fixed facts about a loaded stage.
package struct StageShape: Hashable, Sendable, Codable {
    /// The layers this stage runs.
    package var layers: LayerRange
    /// Number of layers of the uncut model.
    package var layerCount: Int
    /// Floats per row between stages.
    package var width: Int
    /// KV cells shared by all lanes.
    package var cellCount: Int
    /// Number of lanes.
    package var laneCount: Int
    /// Largest number of rows in one microbatch.
    package var rowLimit: Int

    /// Makes a shape.
    package init(layers: LayerRange, layerCount: Int, width: Int, cellCount: Int, laneCount: Int, rowLimit: Int) {
        self.layers = layers
        self.layerCount = layerCount
        self.width = width
        self.cellCount = cellCount
        self.laneCount = laneCount
        self.rowLimit = rowLimit
    }

    /// Whether tokens enter here.
    package var isFirst: Bool { layers.first == 0 }
    /// Whether logits leave here.
    package var isLast: Bool { layers.end == layerCount }
}

/// What a microbatch left behind in an engine; one value is refilled step after step, so nothing is allocated.
package struct StageOutput: Sendable {
    /// **Shape:** `[rows, width]`, row-major f32; empty on the last stage.
    package var activations: [Float] = []
    /// One entry per row with `samples`, in row order; empty unless this is the last stage.
    package var samples: [SampledToken] = []

    /// Makes an empty output.
    package init() {}
}

/// One stage of a model: runs its layers over microbatches. Implemented by `LlamaEngine` and `ReferenceEngine`.
///
/// **Isolation:** a conformer is owned by one compute thread and blocks it.
package protocol StageEngine: ~Copyable {
    /// Fixed facts about the stage.
    var shape: StageShape { get }

    /// Applies a sequence operation.
    ///
    /// The caller MUST apply operations and microbatches in the same order on every stage.
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` when the library refuses.
    mutating func apply(_ operation: SequenceOperation) throws(EngineError)

    /// Runs the stage's layers over `rows`.
    ///
    /// **Shape:** `activations` is `[rows.count, width]`, row-major f32, ignored on the first stage. The caller MUST
    /// pass each lane's positions in ascending order without gaps.
    /// **Throws:** `outOfCells` when the KV cache has no room (nothing changed, smaller work may fit); `cancelled` when
    /// the abort flag was raised; `invalidRow`; `failed`.
    mutating func execute(
        _ rows: [StageRow], activations: Span<Float>, into output: inout StageOutput
    ) throws(EngineError)
}

/// Why an engine could not do its work.
package enum EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A model file could not be loaded; `reason` carries the library's last words.
    case loadFailed(path: String, reason: String)
    /// The KV cache has no room for the microbatch.
    case outOfCells(rows: Int, cellCount: Int)
    /// A row or operation names something outside the stage's shape.
    case invalidRow(field: String, value: Int, limit: Int)
    /// The work was aborted on request.
    case cancelled
    /// The library failed.
    case failed(operation: String, code: Int, reason: String)

    /// One sentence with the numbers.
    package var description: String {
        switch self {
        case .loadFailed(let path, let reason):
            "The engine cannot load \(path): \(reason)."
        case .outOfCells(let rows, let cellCount):
            "The KV cache of \(cellCount) cells has no room for \(rows) more rows."
        case .invalidRow(let field, let value, let limit):
            "\(field) is \(value), outside the stage's limit \(limit)."
        case .cancelled:
            "The step was aborted."
        case .failed(let operation, let code, let reason):
            "\(operation) failed with code \(code): \(reason)."
        }
    }
}
