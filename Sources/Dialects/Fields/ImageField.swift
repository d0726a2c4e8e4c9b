import Vocabulary

/// Images in requests: what is read, within which bounds, and what is refused by name.
enum ImageField {
    /// What is said of an image's form where a field is described.
    static let forms =
        "PNG, JPEG or GIF; at most \(Limits.images) per request, \(Limits.imageBytes >> 20) MiB and "
        + "\(Limits.imagePixels >> 20) Mi pixels each"

    /// Reads a data URL (RFC 2397); other URLs are never followed.
    static func dataURL(_ field: Field) throws(DialectError) -> MessageImage {
        let url = try field.string()
        guard url.prefix(5).lowercased() == "data:" else {
            throw .unsupportedValue(
                field: field.name, value: "a URL ('\(clipped(url))')",
                remedy: "URL fetching is off: send the image itself as a data URL, data:image/png;base64,…")
        }
        let head = url.dropFirst(5).prefix { $0 != "," }
        guard head.endIndex < url.endIndex, head.lowercased().hasSuffix(";base64") else {
            throw .invalidValue(
                field: field.name, value: "'\(clipped(url))'", expected: "data:image/png;base64, and the file in base64"
            )
        }
        return try image(
            String(url[url.index(after: head.endIndex)...]), type: head.prefix { $0 != ";" }.lowercased(), field)
    }

    /// Reads a file in base64. `type` is the media type the client states, when it does.
    static func base64(_ field: Field, type: String? = nil) throws(DialectError) -> MessageImage {
        try image(try field.string(), type: type, field)
    }

    /// Whether a request has no more images than are allowed.
    static func checkCount(_ messages: [Message], _ field: Field) throws(DialectError) {
        let count = messages.reduce(0) { $0 + ($1.images?.count ?? 0) }
        guard count <= Limits.images else {
            throw .invalidValue(
                field: field.name, value: "\(count) images", expected: "at most \(Limits.images) in one request")
        }
    }

    /// The media type of a file that was read here, by its beginning.
    static func mediaType(of base64: String) -> String {
        let head = Base64.bytes(String(base64.prefix(16))) ?? []
        return (ImageHeader.format(of: head) ?? .png).mediaType
    }

    private static func image(_ digits: String, type: String?, _ field: Field) throws(DialectError) -> MessageImage {
        if let type, !type.isEmpty, !types.contains(type) {
            throw .unsupportedValue(field: field.name, value: "'\(clipped(type))'", remedy: remedy)
        }
        let size = Base64.byteCount(ofDigits: digits.utf8.count)
        // Padding stands for up to two bytes.
        guard size <= Limits.imageBytes + 2 else {
            throw .tooLong(field: field.name, bytes: size, limit: Limits.imageBytes)
        }
        guard let bytes = Base64.bytes(digits) else {
            throw .invalidValue(
                field: field.name, value: "a text that is not base64",
                expected: "the file in base64, with padding and without line breaks")
        }
        guard bytes.count <= Limits.imageBytes else {
            throw .tooLong(field: field.name, bytes: bytes.count, limit: Limits.imageBytes)
        }
        try check(bytes, field)
        return MessageImage(base64: digits, offset: 0, field: field.name)
    }

    /// Judges a file by its header: nothing is unpacked here.
    private static func check(_ bytes: [UInt8], _ field: Field) throws(DialectError) {
        if let foreign = foreignFormat(bytes) {
            throw .unsupportedValue(field: field.name, value: "a \(foreign) file", remedy: remedy)
        }
        guard let header = ImageHeader(bytes) else {
            throw .invalidValue(
                field: field.name, value: "a file that is no image, or a damaged one", expected: "PNG, JPEG or GIF")
        }
        let (pixels, overflows) = header.width.multipliedReportingOverflow(by: header.height)
        guard !overflows, (1...Limits.imagePixels).contains(pixels), max(header.width, header.height) < 65_536 else {
            throw .invalidValue(
                field: field.name, value: "an image of \(header.width) × \(header.height) pixels",
                expected: "1 to \(Limits.imagePixels) pixels, at most 65535 per side")
        }
    }

    private static let types = ["image/png", "image/jpeg", "image/jpg", "image/gif"]
    private static let remedy = "send a PNG, JPEG or GIF image"

    private static func foreignFormat(_ bytes: [UInt8]) -> String? {
        if bytes.starts(with: Array("RIFF".utf8)), bytes.dropFirst(8).starts(with: Array("WEBP".utf8)) { return "WebP" }
        if bytes.starts(with: Array("BM".utf8)) { return "BMP" }
        if bytes.starts(with: [0x49, 0x49, 0x2A, 0]) || bytes.starts(with: [0x4D, 0x4D, 0, 0x2A]) { return "TIFF" }
        if bytes.dropFirst(4).starts(with: Array("ftyp".utf8)) { return "HEIF or AVIF" }
        return nil
    }
}

/// The content of a message while its parts are read: texts, one per line, and images among them.
struct MessageContent {
    private(set) var text = ""
    private(set) var images: [MessageImage] = []
    private var endsInText = false

    mutating func add(_ piece: String) {
        if endsInText { text += "\n" }
        text += piece
        endsInText = true
    }

    mutating func add(_ image: MessageImage) {
        var placed = image
        placed.offset = text.utf8.count
        images.append(placed)
        endsInText = false
    }

    /// Nothing was added.
    var isEmpty: Bool { text.isEmpty && images.isEmpty && !endsInText }

    /// Puts the content into a message.
    func fill(_ message: inout Message) {
        message.text = text
        message.images = images.isEmpty ? nil : images
    }
}
