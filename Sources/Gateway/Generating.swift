package import Vocabulary

/// What the gateway needs from the rest of the node: answers, and what can be answered.
package protocol Generating: Sendable {
    /// Starts a request.
    func generate(_ request: GenerationRequest) async -> GenerationStream

    /// The models this node can answer for, with their state.
    func models() async -> [ServedModel]

    /// The name of the model a client's name means, as lists have it. What only a request that may deploy can use is
    /// found by those alone.
    ///
    /// **Throws:** `modelNotFound`, `modelAmbiguous`, `invalidField` for what can be no name.
    func resolved(_ model: String, mayDeploy: Bool) async throws(GenerationError) -> String

    /// A fresh identity for a request.
    func nextRequestID() -> RequestID

    /// Named numbers for `/metrics`, sorted by name.
    func metrics() async -> [MetricSample]

    /// Unloads a model; the next request loads it again.
    ///
    /// **Throws:** why that cannot be; `unsupported` for models that stay loaded as long as the node runs.
    func unload(_ model: String) async throws(GenerationError)

    /// Changes how long a model stays loaded from now on; without effect for one that is always loaded.
    func keep(_ model: String, for time: KeepAlive) async
}

extension Generating {
    /// Models have no other names unless the node says otherwise; what is unknown is refused by `generate`.
    ///
    /// **Throws:** nothing.
    package func resolved(_ model: String, mayDeploy: Bool) async throws(GenerationError) -> String { model }

    /// Models stay loaded unless the node says otherwise.
    package func keep(_ model: String, for time: KeepAlive) async {}

    /// Nothing can be unloaded unless the node says otherwise.
    ///
    /// **Throws:** `unsupported`, always.
    package func unload(_ model: String) async throws(GenerationError) {
        throw .unsupported(feature: "Unloading '\(model)'", remedy: "stop the node")
    }
}

/// The events of one request.
package struct GenerationStream: Sendable {
    /// The events; they end after the one terminal event. Dropping them cancels the request. Whoever makes them MUST
    /// bound what waits unread.
    package let events: AsyncStream<GenerationEvent>
    /// Ends the request early, from any thread; without effect when it has ended.
    package let cancel: @Sendable () -> Void

    /// Makes a stream.
    package init(events: AsyncStream<GenerationEvent>, cancel: @escaping @Sendable () -> Void = {}) {
        self.events = events
        self.cancel = cancel
    }
}

/// A model as the API lists it.
package struct ServedModel: Sendable {
    /// Whether the model can answer.
    package enum State: Sendable, Hashable {
        /// It answers.
        case ready
        /// It will answer; the reason says what is missing.
        case starting(reason: String)
        /// It is deployed and not loaded: the next request loads it.
        case sleeping(reason: String)
        /// The cluster has it and does not serve it: a request by whoever may deploy does.
        case available
        /// It cannot answer; the reason says why and what to do.
        case failed(reason: String)
    }

    /// What is known about it: little more than its name while its file has not been read.
    package var card: ModelCard
    /// Whether it can answer.
    package var state: State
    /// When it was deployed. **Units:** seconds since 1970.
    package var created: Int64
    /// Who provides it, as OpenAI's clients see it.
    package var owner = "skein"
    /// What it was made of here; nil for every other model.
    package var variant: ModelVariant?
    /// Other names of it.
    package var aliases: [String] = []
    /// Where its file comes from.
    package var sources: [ModelSource] = []
    /// The model this entry of a list is another name of; nil for a model's own entry.
    package var aliasOf: String?
    /// Whose name counts first.
    package var standing = NamedModel.Standing.deployed
    /// Time until it is unloaded unless a request comes; nil for never. **Units:** milliseconds.
    package var unloadsInMilliseconds: UInt64?
    /// Whether a GPU computes it; nil when that is not known.
    package var isOnGPU: Bool?

    /// Makes an entry.
    package init(card: ModelCard, state: State, created: Int64) {
        self.card = card
        self.state = state
        self.created = created
    }
}

/// One number of `/metrics`.
package struct MetricSample: Sendable, Hashable {
    /// How the number behaves.
    package enum Kind: String, Sendable {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
    }

    /// Prometheus name.
    package var name: String
    /// What it counts, in words.
    package var help: String
    /// How it behaves.
    package var kind: Kind
    /// The value.
    package var value: Double

    /// Makes a sample.
    package init(name: String, help: String, kind: Kind, value: Double) {
        self.name = name
        self.help = help
        self.kind = kind
        self.value = value
    }
}
