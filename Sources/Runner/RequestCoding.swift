import FoundationEssentials
package import Vocabulary

/// The bytes of a request on its way from a node to an entry runner: JSON, with words for numbers that JSON lacks. A
/// banned token has a bias of minus infinity.
///
/// Whose request it is stands at the beginning, so that the runner can tell callers apart before it has read anything.
/// As JSON is without order, whoever does not know that reads and writes the same requests.
package enum RequestCoding {
    private static let words = (infinity: "inf", minusInfinity: "-inf", notANumber: "nan")
    private static let callerKey = "caller"
    /// What stands before the caller's name.
    private static let callerHead = Array("{\"\(callerKey)\":\"".utf8)
    /// Longest beginning of a caller's name that is looked at. **Units:** bytes.
    private static let callerBytes = 128

    /// The bytes of a request.
    ///
    /// **Throws:** `EncodingError`, which no request we can make has cause for.
    package static func encode(_ request: GenerationRequest) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: words.infinity, negativeInfinity: words.minusInfinity, nan: words.notANumber)
        guard let caller = request.caller else { return Array(try encoder.encode(request)) }
        var rest = request
        rest.caller = nil
        // Two objects become one.
        var bytes = Array(try encoder.encode([callerKey: caller]).dropLast())
        bytes.append(UInt8(ascii: ","))
        bytes.append(contentsOf: try encoder.encode(rest).dropFirst())
        return bytes
    }

    /// Whose request these bytes are, without reading all of them; nil when they do not begin with it. It tells callers
    /// apart and is not always what `decode` says: it ends at the first quotation mark.
    static func caller(in bytes: [UInt8]) -> String? {
        guard bytes.starts(with: callerHead) else { return nil }
        let name = bytes.dropFirst(callerHead.count).prefix(callerBytes).prefix { $0 != UInt8(ascii: "\"") }
        return String(decoding: name, as: UTF8.self)
    }

    /// The request of these bytes.
    ///
    /// **Throws:** `DecodingError` for bytes that are none.
    package static func decode(_ bytes: [UInt8]) throws -> GenerationRequest {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: words.infinity, negativeInfinity: words.minusInfinity, nan: words.notANumber)
        return try decoder.decode(GenerationRequest.self, from: Data(bytes))
    }
}
