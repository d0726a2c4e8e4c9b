package import Vocabulary

/// A frame between a node and a runner after the handshake, decoded.
package enum RunnerFrame: Hashable, Sendable {
    /// A request; `body` is the GenerationRequest as JSON.
    case generate(RequestID, body: [UInt8])
    /// The client no longer wants the request.
    case cancelRequest(RequestID)
    /// What happened to the request; `sequence` counts its events from 0, so a gap is noticed.
    case event(RequestID, sequence: UInt32, GenerationEvent)
    /// Asks for the runner's report.
    case reportRequest
    /// The runner's report as JSON.
    case report([UInt8])

    /// Decodes the body that belongs to a checked header. Verify the checksum first (`FrameHeader.verify`).
    ///
    /// **Throws:** `unexpectedKind` for frames of the handshake and between stages; everything a body can have wrong.
    package static func parse(_ header: FrameHeader, body: RawSpan) throws(WireError) -> RunnerFrame {
        var reader = ByteReader(body)
        let frame: RunnerFrame
        switch header.kind {
        case .generate:
            let id = RequestID(try reader.u64(body, "generate.request"))
            frame = .generate(id, body: try reader.bytes(body, count: reader.remaining, "generate.body"))
        case .cancelRequest: frame = .cancelRequest(RequestID(try reader.u64(body, "cancelRequest.request")))
        case .event:
            let id = RequestID(try reader.u64(body, "event.request"))
            frame = .event(id, sequence: header.stream, try reader.event(body))
        case .reportRequest: frame = .reportRequest
        case .report: frame = .report(try reader.bytes(body, count: reader.remaining, "report.body"))
        default: throw .unexpectedKind(header.kind, expected: "a frame between node and runner")
        }
        try reader.finish("\(header.kind)")
        return frame
    }
}

extension FrameWriter {
    /// Appends a request; `body` is the GenerationRequest as JSON.
    ///
    /// **Throws:** `limitExceeded` beyond the link's budget; the writer stays as it was.
    package mutating func generate(_ id: RequestID, body: RawSpan) throws(WireError) {
        try frame(.generate, stream: 0) { writer throws(WireError) in
            try writer.put(id.value)
            try writer.putBytes(body)
        }
    }

    /// Appends the wish that a request ends.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func cancelRequest(_ id: RequestID) throws(WireError) {
        try frame(.cancelRequest, stream: 0) { writer throws(WireError) in
            try writer.put(id.value)
        }
    }

    /// Appends event number `sequence` of a request.
    ///
    /// **Throws:** `cannotEncode` for counts outside their fields, `limitExceeded` beyond the link's budget; the writer
    /// stays as it was. A `failed` event fits any budget of 2 MiB: its texts are cut to `Limits.errorTextBytes`.
    package mutating func event(_ id: RequestID, sequence: UInt32, _ event: GenerationEvent) throws(WireError) {
        try frame(.event, stream: sequence) { writer throws(WireError) in
            try writer.put(id.value)
            try writer.put(event)
        }
    }

    /// Appends a request for the runner's report.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func reportRequest() throws(WireError) {
        try frame(.reportRequest, stream: 0) { _ throws(WireError) in }
    }

    /// Appends the runner's report as JSON.
    ///
    /// **Throws:** `limitExceeded` beyond the link's budget; the writer stays as it was.
    package mutating func report(_ body: RawSpan) throws(WireError) {
        try frame(.report, stream: 0) { writer throws(WireError) in
            try writer.putBytes(body)
        }
    }
}
