import CLlama
import CLlamaExtras
import Vocabulary

/// Owner of an image's pixels as the projector takes them.
@safe struct Pixels: ~Copyable {
    let handle: OpaquePointer

    /// Most bytes that decoding one image may take. **Units:** bytes.
    private static let memoryLimit = 1 << 30

    /// Unpacks a file.
    ///
    /// `name` is handed on with the parts the projector makes of it.
    /// **Throws:** `invalidField` when the file is damaged or unpacks to more than its header says.
    init(_ file: [UInt8], name: String, field: String) throws(GenerationError) {
        guard let header = ImageHeader(file), header.width > 0, header.height > 0 else {
            throw .damagedImage(field: field, reason: "its header cannot be read")
        }
        // At most 8 bytes per pixel in the file, as much unfiltered, and the conversions; a quarter in reserve.
        let (pixels, overflows) = header.width.multipliedReportingOverflow(by: header.height)
        let room = overflows || pixels > Self.memoryLimit / 48 ? Self.memoryLimit : pixels * 48
        var width: Int32 = 0
        var height: Int32 = 0
        var message: UnsafeMutablePointer<CChar>?
        let decoded = unsafe extras_pixels_decode(
            file, file.count, min(Self.memoryLimit, room + 4 * file.count + 1 << 20), &width, &height, &message)
        let reason = unsafe take(message)
        guard let decoded = unsafe decoded else {
            throw .damagedImage(field: field, reason: reason ?? "no reason given")
        }
        defer { unsafe extras_pixels_free(decoded) }
        guard let made = unsafe mtmd_bitmap_init(UInt32(width), UInt32(height), decoded) else {
            throw .engineFailed(reason: "there is no memory for an image of \(width) × \(height) pixels")
        }
        unsafe handle = made
        unsafe mtmd_bitmap_set_id(made, name)
    }

    deinit { unsafe mtmd_bitmap_free(handle) }

    /// Hands the pixels over to whoever frees them.
    consuming func release() -> OpaquePointer {
        let handle = unsafe handle
        discard self
        return unsafe handle
    }
}

extension GenerationError {
    fileprivate static func damagedImage(field: String, reason: String) -> GenerationError {
        .invalidField(
            name: field, value: "an image that cannot be decoded (\(reason))",
            limit: "it must be a whole PNG, JPEG or GIF file")
    }
}
