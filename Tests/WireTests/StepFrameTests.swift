import Testing
import Vocabulary
import Wire

@Suite struct `Step frames` {
    private let row = [StageRow(lane: Lane(3), position: 41, token: 1234, samples: true)]

    @Test(arguments: [(WireFormat.f32, 4096), (.f16, 2048), (.bf16, 2048), (.q8, 1028)])
    func `one row costs 16 bytes of header, 16 of row record and the row`(format: WireFormat, rowBytes: Int) throws {
        let floats = (0..<1024).map { Float($0) * 0.37 }
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(1, rows: row, activations: floats.span, width: 1024, format: format)
        }
        #expect(bytes.count == 16 + 16 + rowBytes)
    }

    @Test func `rows and f32 activations come back bit for bit`() throws {
        var random = SeededRandom(seed: 3)
        let rows = (0..<100).map { index in
            StageRow(
                lane: Lane(UInt16(truncatingIfNeeded: random.next())), position: Int32(random.below(1 << 31)),
                token: Int32(truncatingIfNeeded: random.next()), samples: index % 3 == 0)
        }
        let floats = (0..<700).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
        let frame = try step(rows, floats, width: 7, format: .f32)
        #expect(frame.rows == rows)
        #expect(frame.floats.map(\.bitPattern) == floats.map(\.bitPattern))
        #expect(frame.layout.encoding == .f32)
    }

    @Test func `a step without activations carries rows only`() throws {
        let frame = try step(row, [], width: 8, format: .auto)
        #expect(frame.rows == row)
        #expect(frame.floats.isEmpty)
        #expect(frame.layout.encoding == .none)
        #expect(frame.layout.bodyByteCount == 16)
    }

    @Test(arguments: [
        (Duration.nanoseconds(1), 1), (.microseconds(1400), 1), (.milliseconds(250), 250), (.seconds(9), 255),
    ])
    func `a slice is told in milliseconds`(slice: Duration, milliseconds: Int) throws {
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(1, rows: row, activations: [1, 2].span, width: 2, format: .f32, slice: slice)
        }
        guard case .step(let layout) = try FrameBytes.stageFrame(bytes, width: 2) else {
            Issue.record("no step")
            return
        }
        #expect(layout.slice == .milliseconds(milliseconds))
    }

    @Test func `the writer's buffer does not change over a thousand steps`() throws {
        var writer = FrameWriter(version: 1)
        let floats = [Float](repeating: 1.1, count: 64 * 16)
        let rows = [StageRow](repeating: row[0], count: 16)
        try writer.step(0, rows: rows, activations: floats.span, width: 64, format: .f32)
        let capacity = writer.capacity
        var address: Int?
        for number in 1...1000 {
            writer.removeAll()
            let count = 1 + number % 16
            let part = Array(rows.prefix(count))
            let format = WireFormat.allCases[number % WireFormat.allCases.count]
            try writer.step(
                UInt32(number), rows: part, activations: floats.span.extracting(0..<64 * count), width: 64,
                format: format)
            #expect(writer.capacity == capacity)
            let now = writer.withBytes { bytes in bytes.withUnsafeBytes { Int(bitPattern: $0.baseAddress) } }
            #expect(address == nil || address == now)
            address = now
        }
    }

    @Test func `a reused reader's arrays keep their memory and follow the frame's size`() throws {
        var rows: [StageRow] = []
        var floats: [Float] = []
        for count in [16, 3, 16, 1, 16] {
            let many = [StageRow](repeating: row[0], count: count)
            let values = (0..<count * 4).map { Float($0) }
            let bytes = try FrameBytes.write { writer throws(WireError) in
                try writer.step(1, rows: many, activations: values.span, width: 4, format: .f32)
            }
            let body = Array(bytes.dropFirst(16))
            let layout = try StepLayout.parse(body.span.bytes, step: 1, width: 4)
            layout.rows(of: body.span.bytes, into: &rows)
            layout.activations(of: body.span.bytes, into: &floats)
            #expect(rows == many)
            #expect(floats == values)
            #expect(rows.capacity >= 16 && floats.capacity >= 64)
        }
    }

    @Test func `aligned f32 rows are seen where they lie and others are copied`() throws {
        let values: [Float] = [1, 2, 3, 4]
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(1, rows: row, activations: values.span, width: 4, format: .f32)
        }
        for shift in 0..<8 {
            let shifted = [UInt8](repeating: 0, count: shift) + bytes
            let body = shifted.span.bytes.extracting(shift + 16..<shifted.count)
            let layout = try StepLayout.parse(body, step: 1, width: 4)
            var scratch: [Float] = []
            let seen = layout.withActivations(of: body, scratch: &scratch) { floats in
                (0..<floats.count).map { floats[$0] }
            }
            #expect(seen == values)
            #expect(scratch.isEmpty == (shift % 4 == 0), "shift \(shift)")
        }
    }

    @Test func `what the writer cannot send leaves no bytes behind`() throws {
        var writer = FrameWriter(version: 1, frameByteLimit: 8192)
        try writer.ping(1)
        let before = FrameBytes.written(writer)
        let floats = [Float](repeating: 1, count: 4096)
        #expect(throws: WireError.limitExceeded(field: "frame.length", value: 16 + 16 + 16_384, limit: 8192)) {
            try writer.step(1, rows: row, activations: floats.span, width: 4096, format: .f32)
        }
        #expect(throws: WireError.cannotEncode(field: "step.rows", value: 0, allowed: "1 … 8192")) {
            try writer.step(1, rows: [], activations: [Float]().span, width: 4, format: .f32)
        }
        let early = [StageRow(lane: Lane(0), position: -1, token: 0, samples: false)]
        #expect(throws: WireError.cannotEncode(field: "step.row.position", value: -1, allowed: "0 and above")) {
            try writer.step(1, rows: early, activations: [1, 2].span, width: 2, format: .f32)
        }
        let many = [StageRow](repeating: row[0], count: Limits.rows + 1)
        #expect(throws: WireError.cannotEncode(field: "step.rows", value: 8193, allowed: "1 … 8192")) {
            try writer.step(1, rows: many, activations: [Float]().span, width: 2, format: .f32)
        }
        let broken: [Float] = [1, 2, 3, .nan]
        #expect(throws: WireError.nonFiniteRow(row: 1)) {
            try writer.step(1, rows: [row[0], row[0]], activations: broken.span, width: 2, format: .q8)
        }
        #expect(FrameBytes.written(writer) == before)
    }

    @Test func `the row limit is what just fits a link's budget`() throws {
        let count = StepLayout.rowLimit(width: 60, frameByteLimit: 8192)
        #expect(count == (8192 - 20) / 252)
        var writer = FrameWriter(version: 1, frameByteLimit: 8192)
        let floats = [Float](repeating: 0, count: 60 * (count + 1))
        let rows = [StageRow](repeating: row[0], count: count + 1)
        #expect(throws: WireError.self) {
            try writer.step(1, rows: rows, activations: floats.span, width: 60, format: .f32)
        }
        try writer.step(
            1, rows: Array(rows.dropLast()), activations: floats.span.extracting(0..<60 * count), width: 60,
            format: .f32)
        #expect(writer.byteCount <= 8192)
        #expect(StepLayout.rowLimit(width: 1, frameByteLimit: Limits.frameBytesMax) == Limits.rows)
        #expect(StepLayout.rowLimit(width: Limits.width, frameByteLimit: 8192) == 0)
    }

    @Test func `a link keeps to the smaller of both ends' budgets`() throws {
        var writer = FrameWriter(version: 1, frameByteLimit: 1 << 20)
        writer.establish(version: 3, peerFrameByteLimit: 4096)
        #expect(writer.version == 3 && writer.frameByteLimit == 4096)
        writer.establish(version: 3, peerFrameByteLimit: 1 << 30)
        #expect(writer.frameByteLimit == 4096)
    }

    @Test func `a body that contradicts itself is refused`() throws {
        let golden = try #require(GoldenFrames.all.first { $0.kind == .step }).bytes
        let body = Array(golden.dropFirst(16))
        func parse(_ change: (inout [UInt8]) -> Void) throws(WireError) {
            var changed = body
            change(&changed)
            _ = try StepLayout.parse(changed.span.bytes, step: 1, width: 4)
        }
        #expect(throws: WireError.lengthMismatch(field: "step", value: 60, expected: 4 + 3 * 28)) {
            try parse { $0[0] = 3 }
        }
        #expect(throws: WireError.limitExceeded(field: "step.rows", value: 8194, limit: 8192)) {
            try parse { $0[1] = 0x20 }
        }
        #expect(throws: WireError.invalidValue(field: "step.rows", offset: 0, value: 0, allowed: "1 … 8192")) {
            try parse { $0[0] = 0 }
        }
        #expect(throws: WireError.invalidValue(field: "step.encoding", offset: 2, value: 9, allowed: "0 … 4")) {
            try parse { $0[2] = 9 }
        }
        #expect(throws: WireError.invalidValue(field: "step.row.flags", offset: 18, value: 3, allowed: "0 or 1")) {
            try parse { $0[18] = 3 }
        }
        #expect(
            throws: WireError.invalidValue(
                field: "step.row.position", offset: 20, value: Int(Int32.min) + 18, allowed: "0 and above")
        ) {
            try parse { $0[23] = 0x80 }
        }
        #expect(throws: WireError.truncated(field: "step.rows", offset: 0, needed: 2, available: 1)) {
            try parse { $0 = [1] }
        }
    }

    @Test func `a q8 scale must be finite and not negative`() throws {
        var bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(1, rows: row, activations: [1, 2].span, width: 2, format: .q8)
        }
        for bits in [0xFF80_0000, 0x7FC0_0000, 0xBF80_0000] as [UInt32] {
            FrameBytes.replace(&bytes, at: 32, bits)
            let body = Array(bytes.dropFirst(16))
            #expect(throws: WireError.self) { try StepLayout.parse(body.span.bytes, step: 1, width: 2) }
        }
    }

    private func step(
        _ rows: [StageRow], _ floats: [Float], width: Int, format: WireFormat
    ) throws -> (layout: StepLayout, rows: [StageRow], floats: [Float]) {
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(77, rows: rows, activations: floats.span, width: width, format: format)
        }
        let frame = try #require(try FrameBytes.frames(bytes).first)
        guard
            case .step(let layout) = try StageFrame.parse(frame.header, body: frame.body.span.bytes, width: width)
        else { throw WireError.unknownKind(0) }
        #expect(layout.step == 77)
        var decodedRows: [StageRow] = []
        var decoded: [Float] = []
        layout.rows(of: frame.body.span.bytes, into: &decodedRows)
        layout.activations(of: frame.body.span.bytes, into: &decoded)
        return (layout, decodedRows, decoded)
    }
}
