import Testing
import Vocabulary
import Wire

@Suite struct `Step frames` {
    @Test func `a one-row f32 frame has 16 + 16 + row bytes and comes back exactly`() throws {
        var writer = FrameWriter(version: 1)
        let rows = [StageRow(lane: Lane(3), position: 41, token: 1234, samples: true)]
        let row: [Float] = [1, -0.0, .infinity, Float(bitPattern: 713)]
        try writer.step(9, rows: rows, activations: row.span, width: 4, format: .f32)
        #expect(writer.byteCount == 16 + 16 + 16)
        let bytes = writer.withBytes { bytes in bytes.withUnsafeBytes { [UInt8]($0) } }
        let header = try #require(try FrameHeader.parse(bytes.span.bytes, rules: .established(version: 1)))
        try header.verify(frame: bytes.span.bytes)
        let body = [UInt8](bytes.dropFirst(16))
        let frame = try StageFrame.parse(header, body: body.span.bytes, width: 4)
        guard case .step(let layout) = frame else { return }
        var decoded: [StageRow] = []
        layout.rows(of: body.span.bytes, into: &decoded)
        #expect(decoded == rows)
        var floats: [Float] = []
        layout.activations(of: body.span.bytes, into: &floats)
        #expect(floats.map(\.bitPattern) == row.map(\.bitPattern))
    }
}
