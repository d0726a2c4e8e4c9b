/// Why a name means no model.
package enum ModelNameError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is nothing.
    case empty
    /// It is longer than a name may be.
    case tooLong(bytes: Int, limit: Int)
    /// It has a character that no name has; `offset` counts characters from 0.
    case character(code: UInt32, offset: Int)
    /// It has a part that cannot be.
    case malformed(name: String, reason: String)
    /// Nothing is called so.
    case unknown(name: String, available: [String])
    /// The repository is here, in other revisions.
    case otherRevision(repository: String, asked: String, present: [String])
    /// The model is here, in other quantisations.
    case otherQuantization(model: String, asked: String, present: [String])
    /// Several models are called so.
    case ambiguous(name: String, candidates: [String])

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .empty: "The name of the model is empty; name one, or 'auto'."
        case .tooLong(let bytes, let limit):
            "The name of the model has \(bytes) bytes; at most \(limit) are possible."
        case .character(let code, let offset):
            "The name of the model has the character U+\(Self.hexadecimal(code)) at place \(offset); leave it out."
        case .malformed(let name, let reason): "'\(name)' cannot be the name of a model: \(reason)."
        case .unknown(let name, let available):
            "No model is called '\(name)'"
                + (available.isEmpty ? "." : "; there are: \(available.joined(separator: ", ")).")
        case .otherRevision(let repository, let asked, let present):
            "\(repository) is not here in the revision '\(asked)'; there are: \(present.joined(separator: ", "))."
        case .otherQuantization(let model, let asked, let present):
            "\(model) is not here in the quantisation '\(asked)'; there are: \(present.joined(separator: ", "))."
        case .ambiguous(let name, let candidates):
            "'\(name)' may mean several models; name one of: \(candidates.joined(separator: ", "))."
        }
    }

    fileprivate static func hexadecimal(_ code: UInt32) -> String {
        let digits = String(code, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}

extension GenerationError {
    /// What a request gets that names no model.
    package init(_ error: ModelNameError) {
        switch error {
        case .empty: self = .invalidField(name: "model", value: "empty", limit: "it names a model, or is 'auto'")
        case .tooLong(let bytes, let limit):
            self = .invalidField(name: "model", value: "\(bytes) bytes long", limit: "at most \(limit) are possible")
        case .character(let code, let offset):
            let place = "U+\(ModelNameError.hexadecimal(code)) at place \(offset)"
            self = .invalidField(name: "model", value: "a text with the character \(place)", limit: "no name has it")
        case .malformed(let name, let reason): self = .invalidField(name: "model", value: "'\(name)'", limit: reason)
        case .unknown(let name, let available): self = .modelNotFound(name: name, available: available)
        case .otherRevision(let repository, let asked, let present):
            self = .modelNotFound(name: "\(repository)@\(asked)", available: present)
        case .otherQuantization(let model, let asked, let present):
            self = .modelNotFound(name: "\(model):\(asked)", available: present)
        case .ambiguous(let name, let candidates): self = .modelAmbiguous(name: name, candidates: candidates)
        }
    }
}
