/// The bytes of an event stream: one `data:` line per event, a blank line after each.
///
/// **Encoding:** UTF-8, LF line ends. **Source:** HTML Standard, "Server-sent events".
package enum ServerSentEvents {
    /// Appends an event whose data is one line; the caller MUST pass JSON, which has no raw line breaks.
    package static func appendData(_ json: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "data: ".utf8)
        bytes.append(contentsOf: json)
        bytes.append(contentsOf: "\n\n".utf8)
    }

    /// Appends a named event whose data is one line of JSON.
    package static func appendEvent(named name: String, data json: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "event: ".utf8)
        bytes.append(contentsOf: oneLine(name))
        bytes.append(UInt8(ascii: "\n"))
        appendData(json, to: &bytes)
    }

    /// Appends a comment, which every client ignores and every proxy takes as a sign of life.
    package static func appendComment(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: ": ".utf8)
        bytes.append(contentsOf: oneLine(text))
        bytes.append(contentsOf: "\n\n".utf8)
    }

    /// Appends the comment sent while nothing else is to be said.
    package static func appendKeepAlive(to bytes: inout [UInt8]) { appendComment("keep-alive", to: &bytes) }

    /// Appends the comment that tells a waiting client its place, `: queued position=3 wait=1.2s`.
    package static func appendQueued(position: Int, predictedWaitSeconds: Double?, to bytes: inout [UInt8]) {
        var text = "queued position=\(position)"
        if let seconds = predictedWaitSeconds, seconds.isFinite, seconds >= 0 {
            let tenths = Int(min(seconds, 1e9) * 10 + 0.5)
            text += " wait=\(tenths / 10).\(tenths % 10)s"
        }
        appendComment(text, to: &bytes)
    }

    private static func oneLine(_ text: String) -> [UInt8] {
        text.utf8.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
    }
}
