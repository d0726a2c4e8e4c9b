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

    /// An engine on the heap, because arrays hold copyable values.
    private final class EngineBox {
        var engine: LlamaStageEngine

        init(_ configuration: LlamaStageConfiguration) throws(EngineError) {
            engine = try LlamaStageEngine(configuration)
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

    /// Runs rows through all stages and answers the logits of the rows that sample. With `isLayered` each stage stops
    /// behind every layer.
    mutating func execute(_ rows: [StageRow], isLayered: Bool = false) throws -> [[Float]] {
        guard let first = engines.first, let last = engines.last else { return [] }
        try execute(rows, [Float]().span, on: first, isLayered)
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
            try execute(rows, floats.span, on: box, isLayered)
            scratch = floats
        }
        return logits(of: rows, last)
    }

    private mutating func execute(
        _ rows: [StageRow], _ floats: Span<Float>, on box: EngineBox, _ isLayered: Bool
    ) throws(EngineError) {
        guard isLayered else { return try box.engine.execute(rows, activations: floats, into: &output) }
        while try !box.engine.advance(rows, activations: floats, for: .zero, into: &output) {}
    }

    /// Whether every stage stops between its layers, as runners find out when they have loaded it.
    func pauses() -> Bool { engines.allSatisfy { (try? PauseTrial.passes(&$0.engine)) ?? false } }

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
