package import Vocabulary

extension Ollama {
    /// Why a model cannot be made, named, uploaded or removed.
    package enum ModelError: Error, Hashable, Sendable, CustomStringConvertible {
        /// No model of this name.
        case unknownModel(String, known: [String])
        /// The name means several models, or can be none.
        case badName(ModelNameError)
        /// The file was not uploaded, or was removed since.
        case unknownBlob(String)
        /// The name means a model that was not made here.
        case nameTaken(String)
        /// There are as many models made here as are kept.
        case tooMany(limit: Int)
        /// What is to be kept of one model is too much.
        case tooLarge(bytes: Int, limit: Int)
        /// A template that is not the model's own.
        case otherTemplate
        /// The file is no model that can be run.
        case unusableFile(reason: String)
        /// What was uploaded is not what its digest says.
        case wrongDigest(expected: String, actual: String)
        /// The upload is longer than a file may be.
        case blobTooLarge(bytes: UInt64, limit: UInt64)
        /// The disk has no room for the upload.
        case diskFull(neededBytes: UInt64, freeBytes: UInt64)
        /// So many uploads are under way.
        case tooManyUploads(limit: Int)
        /// The disk failed.
        case storeFailed(reason: String)
        /// This node cannot do it.
        case impossible(what: String, remedy: String)
        /// The cluster cannot decide it now.
        case undecided(reason: String)

        /// One sentence with the numbers and the next step.
        package var description: String {
            switch self {
            case .unknownModel(let name, let known):
                "Model '\(clipped(name))' is not here"
                    + (known.isEmpty ? "" : "; here are: \(known.joined(separator: ", "))")
                    + ". No registry is asked: upload a GGUF file to /api/blobs and create the model, or run 'skein "
                    + "serve FILE' on a machine of the cluster."
            case .badName(let error): error.description
            case .unknownBlob(let digest):
                "The file sha256:\(digest) is not here; upload it by POST /api/blobs/sha256:\(digest) first."
            case .nameTaken(let name):
                "'\(clipped(name))' is the name of a model that was not made by /api/create; choose another name."
            case .tooMany(let limit):
                "There are \(limit) models made here, which is the limit; delete one by DELETE /api/delete first."
            case .tooLarge(let bytes, let limit):
                "The model's messages and defaults take \(bytes) bytes; the limit is \(limit). Shorten them."
            case .otherTemplate:
                "Unsupported parameter: 'template' is not the model's own; leave it out, or upload a model file that "
                    + "has it as 'tokenizer.chat_template'."
            case .unusableFile(let reason): "The file cannot be a model here: \(reason)"
            case .wrongDigest(let expected, let actual):
                "The uploaded bytes have the digest sha256:\(actual), not sha256:\(expected); upload the file again."
            case .blobTooLarge(let bytes, let limit):
                "The file has \(bytes) bytes or more; the limit is \(limit). Put it on the machine and run "
                    + "'skein deploy /path/to/FILE'."
            case .diskFull(let needed, let free):
                "The file needs \(needed) bytes but the node's disk has \(free) free; delete models or free some space."
            case .tooManyUploads(let limit): "\(limit) uploads are under way, which is the limit; try again later."
            case .storeFailed(let reason): "The node's store of models failed: \(reason)"
            case .impossible(let what, let remedy): "\(what) is not supported; \(remedy)."
            case .undecided(let reason): "The cluster cannot decide it now: \(reason) Try again."
            }
        }
    }
}

extension ErrorReport {
    /// The report of a model that could not be made, named, uploaded or removed.
    package init(_ error: Ollama.ModelError) {
        var seconds: Int?
        let entry: ErrorCode
        switch error {
        case .unknownModel, .unknownBlob: entry = .modelNotFound
        case .badName(.ambiguous): entry = .modelAmbiguous
        case .badName(.unknown), .badName(.otherRevision), .badName(.otherQuantization): entry = .modelNotFound
        case .badName: entry = .invalidValue
        case .nameTaken: entry = .modelNameTaken
        case .tooMany: entry = .tooManyModels
        case .tooLarge: entry = .stringTooLong
        case .otherTemplate: entry = .unsupportedParameter
        case .unusableFile: entry = .modelFileRefused
        case .wrongDigest: entry = .digestMismatch
        case .blobTooLarge: entry = .requestTooLarge
        case .diskFull: entry = .diskFull
        case .tooManyUploads: (entry, seconds) = (.rateLimitExceeded, 5)
        case .storeFailed: entry = .modelStorageFailed
        case .impossible: entry = .notImplemented
        case .undecided: (entry, seconds) = (.modelNotReady, 5)
        }
        let param: String? =
            switch error {
            case .unknownModel, .badName, .nameTaken, .undecided: "model"
            case .otherTemplate: "template"
            default: nil
            }
        self.init(entry, param: param, message: error.description, retryAfterSeconds: seconds)
    }
}
