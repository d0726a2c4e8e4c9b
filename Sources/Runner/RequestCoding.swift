import FoundationEssentials
package import Vocabulary

/// The bytes of a request on its way from a node to an entry runner: JSON, with words for numbers that JSON lacks. A
/// banned token has a bias of minus infinity.
package enum RequestCoding {
    private static let words = (infinity: "inf", minusInfinity: "-inf", notANumber: "nan")

    /// The bytes of a request.
    ///
    /// **Throws:** `EncodingError`, which no request we can make has cause for.
    package static func encode(_ request: GenerationRequest) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: words.infinity, negativeInfinity: words.minusInfinity, nan: words.notANumber)
        return Array(try encoder.encode(request))
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
