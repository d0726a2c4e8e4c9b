package import Vocabulary

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
    /// One entry per row with `samples`, in row order, save rows behind a guess that was wrong (`VerifyWindows`) or
    /// behind a `LaneFailure`, which stands in the place of a token; empty unless this is the last stage.
    package var samples: [SampledToken] = []

    /// Makes an empty output.
    package init() {}
}

/// One stage of a model: runs its layers over microbatches. Implemented by `LlamaEngine` and `ReferenceEngine`.
///
/// **Isolation:** a conformer is owned by one compute thread and blocks it.
package protocol StageEngine: ~Copyable, SendableMetatype {
    /// Fixed facts about the stage.
    var shape: StageShape { get }

    /// Applies a sequence operation.
    ///
    /// The caller MUST apply operations and microbatches in the same order on every stage.
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` when the library refuses. A lane whose `open`
    /// was refused by the library has no sampler: its rows run, and `LaneFailure.noSampler` is answered for them.
    mutating func apply(_ operation: SequenceOperation) throws(EngineError)

    /// Runs the stage's layers over `rows`.
    ///
    /// Rows of a lane that sample, one behind the other, are a verify window: the last stage samples from them until a
    /// token is not the next row's. The caller trims the lane behind the last token that is answered.
    ///
    /// **Shape:** `activations` is `[rows.count, width]`, row-major f32, ignored on the first stage. The caller MUST
    /// pass each lane's positions in ascending order without gaps.
    /// **Throws:** `outOfCells` when the KV cache has no room (nothing changed, smaller work may fit); `invalidRow`;
    /// `failed`.
    mutating func execute(
        _ rows: [StageRow], activations: Span<Float>, into output: inout StageOutput
    ) throws(EngineError)

    /// Whether `advance` may stop between layers.
    var canPause: Bool { get }

    /// Runs the layers of a prompt's rows, all of one lane, a few at a time: begins with rows it was not given before,
    /// and goes on with those it was, for about `duration` and one layer at least. What else is run or applied in
    /// between MUST NOT change the lane, but for `free` and `trim`, which end it; what is copied from it MUST end
    /// before the rows. Until the last part the rows take twice their cells.
    ///
    /// True when the rows are through all of the stage's layers; only then the output is that of `execute`.
    /// **Shape:** `activations` as for `execute`, the same for each part. **Throws:** as `execute`; the rows are begun
    /// anew then.
    mutating func advance(
        _ rows: [StageRow], activations: Span<Float>, for duration: Duration, into output: inout StageOutput
    ) throws(EngineError) -> Bool

    /// The state of a lane's sequence in this stage's layers, with what the last stage's sampler knows of it.
    ///
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` for an empty lane, for more bytes than
    /// `Limits.sequenceBytes`, and when the library refuses.
    mutating func save(_ lane: Lane) throws(EngineError) -> [UInt8]

    /// Puts a saved state into a lane, which MUST be empty; free it when this throws.
    ///
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` for bytes that are none of `save`'s under the
    /// same model, cut, cache types and library, and when there is no room.
    mutating func restore(_ lane: Lane, from bytes: [UInt8]) throws(EngineError)
}

extension StageEngine where Self: ~Copyable {
    /// It may not.
    package var canPause: Bool { false }

    /// All layers at once. **Shape:** `activations` is `[rows.count, width]`. **Throws:** as `execute`.
    package mutating func advance(
        _ rows: [StageRow], activations: Span<Float>, for duration: Duration, into output: inout StageOutput
    ) throws(EngineError) -> Bool {
        try execute(rows, activations: activations, into: &output)
        return true
    }
}

extension EngineError {
    /// An engine was given an operation about sequences on disk, which its runner has to carry out.
    package static var archiveIsTheRunners: EngineError {
        .failed(operation: "an operation about a sequence on disk", code: -1, reason: "engines have no disk")
    }
}

/// Why an engine could not do its work.
package enum EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A model file could not be loaded; `reason` carries the library's last words.
    case loadFailed(path: String, reason: String)
    /// The KV cache has no room for the microbatch.
    case outOfCells(rows: Int, cellCount: Int)
    /// A row or operation names something outside the stage's shape.
    case invalidRow(field: String, value: Int, limit: Int)
    /// The work was given up: nobody wants it any more, or rows in front of its own are missing.
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
