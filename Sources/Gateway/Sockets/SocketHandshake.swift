import Crypto
import HTTPTypes
import Hummingbird
import Vocabulary

/// The opening handshake of a WebSocket (RFC 6455 §4.2).
enum SocketHandshake {
    private static let version = "13"

    /// Whether a request asks for a WebSocket.
    static func isAsked(by headers: HTTPFields) -> Bool {
        words(headers[.upgrade]).contains("websocket") && words(headers[.connection]).contains("upgrade")
    }

    /// The headers that accept the request; nil when its version or key is none.
    static func acceptance(of headers: HTTPFields) -> HTTPFields? {
        guard headers[.socketVersion] == version, let key = headers[.socketKey], isKey(key) else { return nil }
        return [.upgrade: "websocket", .connection: "Upgrade", .socketAccept: accept(key)]
    }

    /// What is sent when the version or key is none.
    static var refusal: HTTPFields { [.socketVersion: version] }

    /// The answer to a client's key.
    static func accept(_ key: String) -> String {
        let digest = Insecure.SHA1.hash(data: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return Base64.text(Array(digest))
    }

    /// 16 bytes in base64.
    private static func isKey(_ key: String) -> Bool {
        key.utf8.count == 24 && key.hasSuffix("==")
            && key.utf8.dropLast(2).allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }

    private static func words(_ value: String?) -> [String] {
        (value ?? "").split(separator: ",").map { word in
            String(word.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()).lowercased()
        }
    }
}

extension HTTPField.Name {
    static let socketVersion = HTTPField.Name("sec-websocket-version") ?? .upgrade
    static let socketKey = HTTPField.Name("sec-websocket-key") ?? .upgrade
    static let socketAccept = HTTPField.Name("sec-websocket-accept") ?? .upgrade
}
