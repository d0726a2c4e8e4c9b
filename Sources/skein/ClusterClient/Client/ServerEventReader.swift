/// An event of a stream of server-sent events.
struct ServerEvent: Hashable, Sendable {
    /// Its name; `message` without one.
    var name: String
    var data: String
    /// The id to go on behind; nil before the stream named one.
    var id: String?
}

/// Bytes in, events out, wherever the bytes were cut.
///
/// **Source:** HTML Standard, "Server-sent events".
struct ServerEventReader {
    /// An event, or a line of one, is too long.
    struct TooLong: Error {
        let limit: Int
    }

    private let limit: Int
    private var line: [UInt8] = []
    private var follows = false
    private var isFirst = true
    private var name = ""
    private var data: [UInt8] = []
    private var hasData = false
    private var id: String?

    /// Reads events of at most `limit` bytes.
    init(limit: Int) { self.limit = limit }

    /// The events that these bytes complete.
    mutating func read(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [ServerEvent] {
        var events: [ServerEvent] = []
        for byte in bytes {
            // A line ends with LF, CR or both.
            let isSecond = follows && byte == UInt8(ascii: "\n")
            follows = byte == UInt8(ascii: "\r")
            if isSecond { continue }
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                if let event = end() { events.append(event) }
            } else {
                guard line.count + data.count < limit else { throw TooLong(limit: limit) }
                line.append(byte)
            }
        }
        return events
    }

    private mutating func end() -> ServerEvent? {
        var text = line[...]
        line.removeAll(keepingCapacity: true)
        if isFirst, text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
        isFirst = false
        guard !text.isEmpty else { return dispatch() }
        let field = text.prefix { $0 != UInt8(ascii: ":") }
        var value = text.dropFirst(field.count + 1)
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: field, as: UTF8.self) {
        case "event": name = String(decoding: value, as: UTF8.self)
        case "data":
            if hasData { data.append(UInt8(ascii: "\n")) }
            data.append(contentsOf: value)
            hasData = true
        case "id" where !value.contains(0): id = value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
        default: break
        }
        return nil
    }

    private mutating func dispatch() -> ServerEvent? {
        defer {
            name = ""
            data.removeAll(keepingCapacity: true)
            hasData = false
        }
        guard hasData else { return nil }
        return ServerEvent(
            name: name.isEmpty ? "message" : name, data: String(decoding: data, as: UTF8.self), id: id)
    }
}
