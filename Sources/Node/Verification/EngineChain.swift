import LlamaEngine
import Serving
import Vocabulary
import Wire

/// The stages of one model in one process, joined by the real wire encoding.
struct EngineChain: ~Copyable {
    private var engines: [EngineBox]
    private let wire: WireFormat
    private var writer = FrameWriter(version: Handshake.versions.upperBound)
    private var output = StageOutput()
    private var scratch: [Float] = []
    /// How many times `advance` stopped between layers.
    private(set) var stops = 0

    /// An engine on the heap, because arrays hold copyable values.
    private final class EngineBox {
        var engine: LlamaStageEngine

        init(_ configuration: LlamaStageConfiguration) throws(EngineError) {
            engine = try LlamaStageEngine(configuration, abort: AbortFlag())
        }
    }

    init(_ stages: [LlamaStageConfiguration], wire: WireFormat) throws(EngineError) {
        engines = []
        for stage in stages { engines.append(try EngineBox(stage)) }
        self.wire = wire
    }

    /// Tokens in the vocabulary of the entry stage.
    var vocabularySize: Int { engines.first?.engine.model.model.vocabularySize ?? 0 }

    private static func encode(
        _ rows: [StageRow], _ output: borrowing StageOutput, width: Int, _ wire: WireFormat,
        into writer: inout FrameWriter
    ) throws(WireError) {
        try writer.step(1, rows: rows, activations: output.activations.span, width: width, format: wire)
    }

    /// Applies an operation on every stage.
    mutating func apply(_ operation: SequenceOperation) throws(EngineError) {
        for box in engines { try box.engine.apply(operation) }
    }

    /// Runs rows through all stages and answers the logits of the rows that sample.
    mutating func execute(_ rows: [StageRow]) throws -> [[Float]] {
        guard let first = engines.first, let last = engines.last else { return [] }
        try first.engine.execute(rows, activations: [Float]().span, into: &output)
        for box in engines.dropFirst() {
            writer.removeAll()
            try Self.encode(rows, output, width: box.engine.shape.width, wire, into: &writer)
            let floats = try writer.withBytes { frame throws(WireError) -> [Float] in
                let body = frame.extracting(FrameHeader.byteCount..<frame.byteCount)
                let layout = try StepLayout.parse(body, step: 1, width: box.engine.shape.width)
                var floats = scratch
                layout.activations(of: body, into: &floats)
                return floats
            }
            try box.engine.execute(rows, activations: floats.span, into: &output)
            scratch = floats
        }
        return logits(of: rows, last)
    }

    /// Whether `advance` may stop between layers.
    var canPause: Bool { engines.count == 1 && engines[0].engine.canPause }

    /// Runs rows through the layers of the one stage, one by one, and answers the logits of the rows that sample.
    mutating func advance(_ rows: [StageRow]) throws -> [[Float]] {
        guard let only = engines.first, engines.count == 1 else { return [] }
        output.samples.removeAll()
        while try !only.engine.advance(rows, for: .zero, into: &output) { stops += 1 }
        return logits(of: rows, only)
    }

    private func logits(of rows: [StageRow], _ last: EngineBox) -> [[Float]] {
        var logits: [[Float]] = []
        for (index, row) in rows.enumerated() where row.samples {
            var values: [Float] = []
            last.engine.copyLogits(ofRow: index, into: &values)
            logits.append(values)
        }
        return logits
    }
}
