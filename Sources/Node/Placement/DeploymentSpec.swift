import ModelStore
package import Runner
package import Transport
package import Vocabulary
package import Wire

/// What a user wants served: a model and how.
package struct DeploymentSpec: Sendable {
    /// Where a model is cut.
    package enum Cutting: Sendable, Hashable {
        /// Into this many stages, as even as the family allows.
        case stages(Int)
        /// In front of these layers.
        case boundaries([Int])
    }

    /// How tokens are guessed ahead.
    package enum Drafting: Sendable, Hashable {
        /// By the model's own draft model, when one is shipped with it, and by the text so far; where that pays, for
        /// requests without a seed.
        case auto
        /// Not at all.
        case off
        /// By the text so far, for every request.
        case ngram
        /// By the draft model in this file, and by the text so far where that promises more, for every request.
        case model(path: String)
        /// By the model's own heads for several tokens, and by the text so far where that promises more, for every
        /// request.
        case mtp
    }

    /// The name clients use.
    package var name: String
    /// The model file.
    package var path: String
    /// Other names clients may use.
    package var aliases: [String] = []
    /// Where the model's file comes from, beside what it says itself.
    package var sources: [ModelSource] = []
    /// Where it is cut.
    package var cutting = Cutting.stages(1)
    /// Context window of a request; nil takes what the model was trained for, at most `defaultWindow`.
    package var window: Int?
    /// Requests answered at once.
    package var laneCount = 4
    /// Sequences of ended requests that are kept beside the running ones; 0 keeps none.
    package var keptSequences = Self.keptUnasked
    /// Sequences that are kept where nobody says how many.
    package static let keptUnasked = 8
    /// Where sequences of ended requests are kept on disk, and at most how many bytes; nil keeps none there.
    package var archive: ArchiveSettings?
    /// How tokens are guessed ahead.
    package var drafting = Drafting.auto
    /// The projector's file, with which the model reads images; nil reads text only.
    package var projector: String?
    /// Compute threads per stage; nil shares the machine's cores evenly.
    package var threads: Int?
    /// Rows per microbatch.
    package var rowLimit = 512
    /// What keys are stored in; nil takes what the model allows, see `CacheStores`.
    package var keyType: CacheFormat?
    /// What values are stored in; nil as for keys.
    package var valueType: CacheFormat?
    /// Layers on the GPU; negative is all.
    package var gpuLayers: Int32 = -1
    /// Devices layers may be moved to, by the engine's names; nil leaves it to the engine.
    package var devices: [String]?
    /// How activations travel.
    package var wire = WireFormat.f32
    /// Conditions on the links between stages, for benches and drills.
    package var conditions = LinkConditions()

    /// Largest window a model gets unasked. **Units:** tokens.
    fileprivate static let defaultWindow = 131_072

    /// Largest window a model gets unasked that reads whole texts at once: its buffers grow with it. **Units:** tokens.
    fileprivate static let defaultEncoderWindow = 8192

    /// A deployment of the file at `path` in one stage.
    package init(name: String, path: String) {
        self.name = name
        self.path = path
    }
}

extension ModelFile {
    /// Context window a model gets unasked. **Units:** tokens.
    var unaskedWindow: Int {
        min(trainedContext, isEncoder ? DeploymentSpec.defaultEncoderWindow : DeploymentSpec.defaultWindow)
    }
}

/// Why a deployment cannot be served.
package enum DeploymentError: Error, Sendable, CustomStringConvertible {
    /// The model's file or its cut.
    case store(reason: String)
    /// A setting is outside its limits.
    case setting(name: String, value: String, limit: String)
    /// A draft model cannot guess for the model.
    case draft(path: String, reason: String)
    /// The model's own heads for several tokens cannot guess.
    case heads(model: String, reason: String)
    /// A projector cannot make the model see.
    case projector(path: String, reason: String)
    /// A stage could not be started.
    case stage(index: Int, reason: String)
    /// The chain of stages does not answer.
    case canary(reason: String)
    /// It did not become ready in time.
    case timeout(seconds: Int, waitingFor: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .store(let reason): reason
        case .setting(let name, let value, let limit): "\(name) is \(value); \(limit)."
        case .draft(let path, let reason):
            "The draft model \(path) cannot be used: \(Self.clause(reason)). Name another one, or use --draft auto, "
                + "ngram or off."
        case .heads(let model, let reason):
            "--draft mtp is not possible for \(model): \(Self.clause(reason)). Use auto, ngram, off or a draft model."
        case .projector(let path, let reason):
            "The projector \(path) cannot be used: \(Self.clause(reason)). Name the one that was made for the model, "
                + "or leave out --mmproj."
        case .stage(let index, let reason): "Stage \(index) did not start: \(reason)"
        case .canary(let reason): "The stages started but do not answer: \(reason)"
        case .timeout(let seconds, let waitingFor): "Not ready after \(seconds) s, still waiting for \(waitingFor)."
        }
    }

    /// A reason within a sentence that goes on.
    private static func clause(_ reason: String) -> Substring {
        reason.hasSuffix(".") ? reason.dropLast() : reason[...]
    }
}
