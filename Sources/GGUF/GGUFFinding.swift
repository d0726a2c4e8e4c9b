/// Something in a well-formed file that the engine would refuse, crash on, or misunderstand.
package struct GGUFFinding: Hashable, Sendable, CustomStringConvertible {
    /// How bad a finding is.
    package enum Severity: String, Sendable, Comparable, CaseIterable {
        /// The file can be served; something in it will be ignored or looks wrong.
        case warning
        /// The file must not reach the engine.
        case error

        /// Orders `warning` before `error`.
        package static func < (left: Severity, right: Severity) -> Bool { left == .warning && right == .error }
    }

    /// What kind of thing is wrong; the raw value is stable and is printed by the tools.
    package enum Kind: String, Sendable, CaseIterable {
        /// A metadata key that every model needs is absent.
        case missingKey = "missing-key"
        /// A metadata value is of another type than the engine reads.
        case wrongType = "wrong-type"
        /// A number is outside what the engine asserts.
        case outOfRange = "out-of-range"
        /// An array has fewer or more elements than what it describes.
        case wrongLength = "wrong-length"
        /// A string is not one of the values the engine knows.
        case unknownValue = "unknown-value"
        /// A tensor belongs to a layer that the file does not have.
        case strayLayer = "stray-layer"
        /// A layer has no tensor at all.
        case emptyLayer = "empty-layer"
        /// A tensor has no elements.
        case emptyTensor = "empty-tensor"
        /// The tensor data is aligned too coarsely for the engine to map it.
        case looseAlignment = "loose-alignment"
        /// Two tokens have the same text.
        case duplicateToken = "duplicate-token"
        /// A token's text is too long.
        case longToken = "long-token"
        /// A token's text contains a zero byte, where the engine cuts it off.
        case cutToken = "cut-token"
        /// A byte token is not of the form `<0xHH>`.
        case malformedByteToken = "malformed-byte-token"
        /// A tokenizer that falls back to bytes lacks some byte token.
        case missingByteToken = "missing-byte-token"
        /// A merge rule is not two parts with a space between.
        case malformedMerge = "malformed-merge"
        /// A special token's id is not in the vocabulary.
        case strayToken = "stray-token"
    }

    /// How bad it is.
    package let severity: Severity
    /// What is wrong.
    package let kind: Kind
    /// The metadata key or tensor it is about.
    package let subject: String
    /// What was found and what is expected, with the numbers.
    package let problem: String

    /// `error stray-layer blk.9.attn_q.weight: …`.
    package var description: String { "\(severity.rawValue) \(kind.rawValue) \(subject): \(problem)" }
}

/// Collects findings, so many of each severity that a hostile file can make neither an endless report nor one in which
/// the errors are drowned by warnings.
struct FindingList {
    /// Most findings of one severity that are kept.
    static let limit = 50
    private var errors: [GGUFFinding] = []
    private var warnings: [GGUFFinding] = []

    /// What was found, errors first.
    var findings: [GGUFFinding] { errors + warnings }

    mutating func error(_ kind: GGUFFinding.Kind, _ subject: String, _ problem: @autoclosure () -> String) {
        guard errors.count < Self.limit else { return }
        errors.append(GGUFFinding(severity: .error, kind: kind, subject: subject, problem: problem()))
    }

    mutating func warning(_ kind: GGUFFinding.Kind, _ subject: String, _ problem: @autoclosure () -> String) {
        guard warnings.count < Self.limit else { return }
        warnings.append(GGUFFinding(severity: .warning, kind: kind, subject: subject, problem: problem()))
    }
}
