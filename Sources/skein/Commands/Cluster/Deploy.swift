import ArgumentParser
import Dialects

/// `skein deploy`.
struct Deploy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have the cluster serve a model.",
        discussion: """
            MODEL is a name the node that is asked knows, or a file on its machine; the machines that run it fetch the \
            layers they need. A name is one that 'GET /cluster/v1/models' lists, org/repo[@revision][:quantisation] \
            where a model comes from there, or a digest. What is not said, the cluster decides. A deployment of the \
            same name is changed. NODE is an id, the beginning of one, or a name.
            """)

    @Argument(help: "Model: a name, or a file (GGUF).")
    var model: String

    @Option(help: "Name clients use. Default: the model's own, as the name of its file without .gguf.")
    var name: String?

    @OptionGroup var names: NameOptions

    @Option(help: "Complete copies.")
    var replicas: Int?

    @Option(help: "Context in tokens.")
    var ctx: Int?

    @Option(help: "Requests answered at once.")
    var lanes: Int?

    @Option(help: "Stages it is cut into, each on a machine of its own. Default: what answers soonest by the plan.")
    var stages: Int?

    @Option(
        name: .customLong("pin"), parsing: .singleValue,
        help: ArgumentHelp("Only this node may run it. May be repeated.", valueName: "node"))
    var pinned: [String] = []

    @Option(
        name: .customLong("exclude"), parsing: .singleValue,
        help: ArgumentHelp("This node may not run it. May be repeated.", valueName: "node"))
    var excluded: [String] = []

    @Option(
        name: .customLong("tag"), parsing: .singleValue,
        help: ArgumentHelp("Every node that runs it must have this tag. May be repeated.", valueName: "tag"))
    var tags: [String] = []

    @Option(
        name: .customLong("prefer-tag"), parsing: .singleValue,
        help: ArgumentHelp(
            "Nodes that have this tag run it, if it fits there. May be repeated.", valueName: "tag"))
    var preferredTags: [String] = []

    @Option(
        help: ArgumentHelp(
            "Unload after so long without a request: a number and s, m, h or d, as in 30m. Default: never.",
            valueName: "time"))
    var keepAlive: TimeSpan?

    @Option(
        help: ArgumentHelp(
            """
            Guess tokens ahead: auto, ngram, mtp (by the model's own head for several tokens), off, or a draft model \
            with the same vocabulary; a name or a file.
            """,
            valueName: "auto|ngram|mtp|off|model"))
    var draft: String?

    @Option(
        help: ArgumentHelp(
            """
            The model's projector, a name or a file: with it the model reads images. auto takes the one with which a \
            node serves the model by itself; off takes none.
            """,
            valueName: "auto|off|projector"))
    var mmproj: String?

    @OptionGroup var cache: CacheOptions

    @Option(
        help: ArgumentHelp(
            """
            Wait until it is ready. Without '=SECONDS' \(ClientLimits.waitDefaultSeconds), at most \
            \(ClientLimits.waitSeconds).
            """,
            valueName: "seconds"))
    var wait: Int?

    @OptionGroup var options: ReadOptions

    func validate() throws {
        for (option, value) in [("--replicas", replicas), ("--ctx", ctx), ("--lanes", lanes), ("--stages", stages)] {
            guard let value, value < 1 else { continue }
            throw ValidationError("\(option) is \(value); it takes 1 or more.")
        }
        if let wait, !(1...ClientLimits.waitSeconds).contains(wait) {
            throw ValidationError("--wait is \(wait); it takes 1 … \(ClientLimits.waitSeconds) seconds.")
        }
    }

    func run() async throws {
        try await options.node.ask { client in
            let file = ModelName(model)
            // One question for all names, so that all are of one moment.
            let ids = try await client.ids(of: pinned + excluded)
            let wish = DeployWish(
                model: file.model, name: name ?? file.name, replicas: replicas, context: ctx, lanes: lanes,
                stages: stages,
                pinned: Array(ids.prefix(pinned.count)), excluded: Array(ids.dropFirst(pinned.count)), tags: tags,
                preferredTags: preferredTags, keepAliveSeconds: keepAlive?.seconds,
                draft: draft.map(DeployWish.draft),
                projector: mmproj.map(DeployWish.projector),
                cacheTypeK: cache.cacheTypeK, cacheTypeV: cache.cacheTypeV, aliases: names.aliases,
                sources: names.sources)
            try await deploy(wish, client)
        }
    }

    private func deploy(_ wish: DeployWish, _ client: ClusterClient) async throws {
        guard let wait else {
            let answer = try await client.command(.post, "/cluster/v1/deployments", body: wish.body)
            let name = PrintableText.of(answer.json["name"]?.string ?? wish.name ?? wish.model)
            Output.line(
                options.json ? answer.text : "\(name) is to be served; 'skein status' tells how far it is")
            return
        }
        let answer = try await client.send(
            .post, "/cluster/v1/deployments?wait=ready&timeout=\(wait)", body: wish.body, extra: .seconds(wait))
        guard !options.json else { return Output.line(answer.text) }
        let deployment = try client.reading { () throws(MissingField) in try SeenDeployment(answer.json) }
        for line in ClusterText.deployment(deployment, try await client.state()) { Output.line(line) }
    }
}
