import Foundation

/// A WebSocket client that can do wrong.
final class SocketClient {
    struct Frame: Equatable {
        let opcode: UInt8
        let data: [UInt8]

        var text: String { String(decoding: data, as: UTF8.self) }
        /// The code of a closing.
        var code: Int { data.count < 2 ? 0 : Int(data[0]) << 8 | Int(data[1]) }
    }

    struct Ended: Error {}

    /// The answer to the opening handshake.
    let head: String
    private let connection: RawConnection
    private var received: AsyncStream<[UInt8]>.Iterator
    private var bytes: [UInt8]

    private init(_ head: String, _ connection: RawConnection, _ it: AsyncStream<[UInt8]>.Iterator, _ rest: [UInt8]) {
        self.head = head
        self.connection = connection
        received = it
        bytes = rest
    }

    /// Opens a connection and sends the handshake with these headers in place of the usual ones.
    static func open(_ server: LoopbackServer, _ headers: [String: String] = [:]) async throws -> SocketClient {
        var fields = [
            "Host": "127.0.0.1:\(server.port)", "Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        ]
        fields.merge(headers) { $1 }
        let lines = fields.filter { !$0.value.isEmpty }.map { "\($0.key): \($0.value)" }
        let connection = try await RawConnection.open(port: server.port)
        connection.send((["GET /v1/responses HTTP/1.1"] + lines + ["", ""]).joined(separator: "\r\n"))
        var iterator = connection.received.makeAsyncIterator()
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let index = bytes.indices.first(where: { bytes[$0...].starts(with: end) }) {
                let head = String(decoding: bytes[..<index], as: UTF8.self)
                return SocketClient(head, connection, iterator, Array(bytes[(index + 4)...]))
            }
            guard let more = await iterator.next(isolation: #isolation) else { throw Ended() }
            bytes += more
        }
    }

    var status: Int { Int(head.split(separator: " ")[1]) ?? 0 }

    func close() { connection.close() }

    // MARK: Sending

    func send(_ text: String) { send(opcode: 1, Array(text.utf8)) }

    /// Sends a request for the model that is there.
    func create(_ fields: String = "", input: String = #""hi""#) {
        let more = fields.isEmpty ? "" : "," + fields
        send(#"{"type":"response.create","model":"tiny","input":\#(input)\#(more)}"#)
    }

    func send(opcode: UInt8, _ data: [UInt8], isFinal: Bool = true, isMasked: Bool = true, reserved: UInt8 = 0) {
        var frame = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let mask: UInt8 = isMasked ? 0x80 : 0
        switch data.count {
        case 0..<126: frame.append(mask | UInt8(data.count))
        case 126..<65536: frame += [mask | 126, UInt8(data.count >> 8), UInt8(data.count & 0xFF)]
        default: frame += [mask | 127] + (0..<8).map { UInt8(data.count >> (56 - 8 * $0) & 0xFF) }
        }
        let key: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        if isMasked { frame += key }
        frame += isMasked ? data.enumerated().map { $1 ^ key[$0 % 4] } : data
        connection.send(frame)
    }

    /// Sends bytes that are no frame of ours.
    func send(raw: [UInt8]) { connection.send(raw) }

    // MARK: Receiving

    private func take(_ count: Int) async throws -> [UInt8] {
        while bytes.count < count {
            guard let more = await received.next(isolation: #isolation) else { throw Ended() }
            bytes += more
        }
        defer { bytes.removeFirst(count) }
        return Array(bytes.prefix(count))
    }

    /// The next frame.
    func frame() async throws -> Frame {
        let head = try await take(2)
        guard head[0] & 0x80 != 0, head[1] & 0x80 == 0 else { throw Ended() }
        var length = Int(head[1])
        if length == 126 { length = try await take(2).reduce(0) { $0 << 8 | Int($1) } }
        if length == 127 { length = try await take(8).reduce(0) { $0 << 8 | Int($1) } }
        return Frame(opcode: head[0] & 0x0F, data: try await take(length))
    }

    /// The next event.
    func event() async throws -> [String: Any] {
        let frame = try await frame()
        guard frame.opcode == 1 else { throw Ended() }
        return try HTTPAnswer.object(frame.text)
    }

    /// The events up to the end of a response.
    func events() async throws -> [[String: Any]] {
        var events: [[String: Any]] = []
        while true {
            events.append(try await event())
            let last = events.last?["type"] as? String ?? ""
            if ["response.completed", "response.incomplete", "response.failed", "error"].contains(last) {
                return events
            }
        }
    }

    /// Whether the server closes without another frame.
    func isClosed() async -> Bool {
        bytes.isEmpty ? await received.next(isolation: #isolation) == nil : false
    }
}
