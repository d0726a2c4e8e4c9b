/// What an image file says of itself before anything is unpacked.
///
/// **Source:** PNG (ISO/IEC 15948) §11.2.2, JPEG (ITU-T T.81) annex B.2.2, GIF89a §18.
package struct ImageHeader: Hashable, Sendable {
    /// Formats that are read.
    package enum Format: String, Sendable, CaseIterable {
        /// Portable Network Graphics.
        case png
        /// JPEG, baseline and progressive.
        case jpeg
        /// Graphics Interchange Format; the first image of an animation counts.
        case gif

        /// As it stands in front of a data URL.
        package var mediaType: String { "image/\(rawValue)" }
    }

    /// The format, by the file's first bytes.
    package var format: Format
    /// Pixels per row.
    package var width: Int
    /// Rows.
    package var height: Int

    /// Reads the beginning of a file; nil when it is damaged or of no format that is read.
    package init?(_ bytes: [UInt8]) {
        guard let format = Self.format(of: bytes) else { return nil }
        self.format = format
        let size: (Int, Int)?
        switch format {
        case .png:
            // Signature, then a chunk of 13 bytes named IHDR.
            guard bytes.count >= 33, bytes[8..<16].elementsEqual([0, 0, 0, 13] + Array("IHDR".utf8)) else { return nil }
            size = (Self.number(bytes[16..<20]), Self.number(bytes[20..<24]))
        case .gif:
            guard bytes.count >= 13 else { return nil }
            size = (Int(bytes[6]) | Int(bytes[7]) << 8, Int(bytes[8]) | Int(bytes[9]) << 8)
        case .jpeg: size = Self.frameSize(bytes)
        }
        guard let size else { return nil }
        (width, height) = size
    }

    /// The format of a file by its first bytes, be the rest whole or not.
    package static func format(of bytes: [UInt8]) -> Format? {
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
        if bytes.starts(with: Array("GIF87a".utf8)) || bytes.starts(with: Array("GIF89a".utf8)) { return .gif }
        return nil
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

    /// Width and height in a JPEG's frame header, behind whatever segments come before it.
    private static func frameSize(_ bytes: [UInt8]) -> (Int, Int)? {
        var place = 2
        while place + 4 <= bytes.count {
            guard bytes[place] == 0xFF else { return nil }
            let marker = bytes[place + 1]
            // Bytes that fill, and markers that stand alone.
            if marker == 0xFF {
                place += 1
                continue
            }
            if marker == 0x01 || (0xD0...0xD8).contains(marker) {
                place += 2
                continue
            }
            // The frame comes before the first scan.
            guard marker != 0xDA, marker != 0xD9 else { return nil }
            let length = number(bytes[place + 2..<place + 4])
            guard length >= 2 else { return nil }
            if (0xC0...0xCF).contains(marker), ![0xC4, 0xC8, 0xCC].contains(marker) {
                guard length >= 8, place + 9 <= bytes.count else { return nil }
                return (number(bytes[place + 7..<place + 9]), number(bytes[place + 5..<place + 7]))
            }
            place += 2 + length
        }
        return nil
    }
}
