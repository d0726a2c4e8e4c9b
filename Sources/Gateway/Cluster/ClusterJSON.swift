import Cluster
import Dialects
import Vocabulary

/// Views, changes and answers as JSON. Ids are sixteen hexadecimal digits; what is unknown is left out.
enum ClusterJSON {
    static func state(_ view: ClusterView, id: String) -> [UInt8] {
        object { writer in
            writer.field("id", id)
            writer.field("node", "\(view.node)")
            writer.field("cluster", view.cluster == 0 ? nil : "\(NodeID(view.cluster))")
            writer.field("index", view.index)
            write(view.leadership, to: &writer)
            writer.key("nodes")
            writer.list(view.members) { write($0, to: &$1) }
            writer.key("deployments")
            writer.list(view.deployments) { write($0, to: &$1) }
            writer.key("settings")
            writer.beginObject()
            for setting in view.settings where !setting.name.hasPrefix(ControlPlane.joinTokenPrefix) {
                writer.key(setting.name)
                writer.string(setting.value)
            }
            writer.endObject()
            writer.key("warnings")
            writer.list(view.warnings) { $1.string($0) }
        }
    }

    static func nodes(_ view: ClusterView) -> [UInt8] {
        object { writer in
            writer.field("leader", view.leadership.leader.map { "\($0)" })
            writer.key("nodes")
            writer.list(view.members) { write($0, to: &$1) }
        }
    }

    static func deployment(_ view: DeploymentView) -> [UInt8] {
        var writer = JSONWriter()
        write(view, to: &writer)
        return writer.bytes
    }

    static func deployments(_ view: ClusterView) -> [UInt8] {
        object { writer in
            writer.key("deployments")
            writer.list(view.deployments) { write($0, to: &$1) }
        }
    }

    /// Name of the event and its data.
    static func change(_ change: ClusterChange) -> (name: String, data: [UInt8]) {
        switch change {
        case .leadership(let leadership): return ("leadership", object { write(leadership, to: &$0) })
        case .member(let node, let member):
            guard let member else { return ("node_removed", object { $0.field("id", "\(node)") }) }
            var writer = JSONWriter()
            write(member, to: &writer)
            return ("node", writer.bytes)
        case .deployment(let name, let deployment):
            guard let deployment else { return ("deployment_removed", object { $0.field("name", name) }) }
            var writer = JSONWriter()
            write(deployment, to: &writer)
            return ("deployment", writer.bytes)
        case .setting(let name, let value):
            return (
                "setting",
                object { writer in
                    writer.field("name", name)
                    writer.key("value")
                    writer.string(orNull: value)
                }
            )
        case .warnings(let warnings):
            return (
                "warnings",
                object { writer in
                    writer.key("warnings")
                    writer.list(warnings) { $1.string($0) }
                }
            )
        }
    }

    /// `name` is that of what was deployed.
    static func outcome(_ outcome: CommandOutcome, name: String? = nil) -> (status: Int, body: [UInt8]) {
        switch outcome {
        case .done(let index):
            return (
                200,
                object { writer in
                    writer.field("outcome", "done")
                    writer.field("index", index)
                    writer.field("name", name)
                }
            )
        case .doneDegraded:
            return (
                200,
                object { writer in
                    writer.field("outcome", "done_degraded")
                    writer.field("name", name)
                    writer.field(
                        "warning",
                        "No majority of the voters answers; this is kept here and merges with the rest later.")
                }
            )
        case .refused(let refusal):
            let (status, code) = kind(of: refusal)
            return (status, error(code: code, message: refusal.description))
        }
    }

    /// The outcome of what leaves no index in the log to speak of.
    static var done: [UInt8] { object { $0.field("outcome", "done") } }

    static func refusal(_ refusal: TokenRefusal) -> (status: Int, body: [UInt8]) {
        let (status, code) =
            switch refusal {
            case .invalid: (400, "invalid")
            case .notFound: (404, "not_found")
            case .full: (409, "full")
            case .conflict: (409, "conflict")
            case .unavailable: (503, "unavailable")
            case .command(let refusal): kind(of: refusal)
            }
        return (status, error(code: code, message: refusal.description))
    }

    private static func kind(of refusal: CommandRefusal) -> (Int, String) {
        switch refusal.code {
        case .notFound: (404, "not_found")
        case .invalid: (400, "invalid")
        case .full: (409, "full")
        case .conflict: (409, "conflict")
        case .tooOld: (409, "too_old")
        case .storage: (507, "storage")
        case .overloaded: (503, "overloaded")
        case .unanswered: (504, "unanswered")
        }
    }

    static func error(code: String, message: String) -> [UInt8] {
        object { writer in
            writer.key("error")
            writer.beginObject()
            writer.field("code", code)
            writer.field("message", message)
            writer.endObject()
        }
    }

    static func preview(_ preview: PlanPreview) -> [UInt8] {
        object { writer in
            switch preview.answer {
            case .placed(let stages, let context, let lanes, let forecast):
                writer.key("fits")
                writer.bool(true)
                writer.field("context_tokens", context)
                writer.field("lanes", lanes)
                writer.key("stages")
                writer.list(stages) { write($0, to: &$1) }
                if let forecast { write(forecast, to: &writer) }
            case .kept:
                writer.key("fits")
                writer.bool(true)
            case .refused(let reason):
                writer.key("fits")
                writer.bool(false)
                writer.field("reason", reason)
            }
            writer.key("candidates")
            writer.list(preview.question.candidates) { candidate, writer in
                writer.beginObject()
                writer.field("id", "\(candidate.member.node)")
                writer.field("name", candidate.member.name)
                writer.field("usable_bytes", candidate.reading?.usableBytes)
                writer.field("promised_bytes", candidate.promisedBytes)
                writer.field("credited_bytes", candidate.creditedBytes)
                writer.endObject()
            }
            writer.key("excluded")
            writer.list(preview.question.excluded) { exclusion, writer in
                writer.beginObject()
                writer.field("id", "\(exclusion.node)")
                writer.field("code", exclusion.code)
                writer.field("reason", exclusion.reason)
                writer.endObject()
            }
        }
    }

    static func models(_ models: [ClusterModel]) -> [UInt8] {
        object { writer in
            writer.key("models")
            writer.list(models) { model, writer in
                writer.beginObject()
                writer.field("name", model.named.id)
                writer.field("digest", model.named.digest.isEmpty ? nil : model.named.digest)
                writer.field("quantization", model.named.quantization.isEmpty ? nil : model.named.quantization)
                writer.field("state", model.state)
                writer.key("aliases")
                writer.list(model.named.aliases) { $1.string($0) }
                writer.key("sources")
                writer.list(model.named.fullSources) { $1.string($0.description) }
                writer.key("holders")
                writer.list(model.holders) { $1.string("\($0)") }
                writer.endObject()
            }
        }
    }

    // MARK: Join tokens

    /// The only answer that holds a token's secret.
    static func created(_ created: CreatedToken) -> [UInt8] {
        object { writer in
            writer.field("id", created.token.id)
            writer.field("line", created.line)
            writer.key("expires")
            writer.integer(created.token.expires)
            writer.field("uses", UInt64(clamping: created.token.uses))
            writer.key("worker")
            writer.bool(created.token.isForWorkers)
        }
    }

    static func tokens(_ tokens: [TokenView]) -> [UInt8] {
        object { writer in
            writer.key("tokens")
            writer.list(tokens) { token, writer in
                writer.beginObject()
                writer.field("id", token.id)
                writer.field("state", token.state.rawValue)
                writer.field("uses", UInt64(clamping: token.uses))
                writer.field("uses_left", UInt64(clamping: token.usesLeft))
                writer.key("worker")
                writer.bool(token.isForWorkers)
                writer.key("created")
                writer.integer(token.created)
                writer.key("expires")
                writer.integer(token.expires)
                writer.endObject()
            }
        }
    }

    // MARK: Parts

    private static func object(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        body(&writer)
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ leadership: LeadershipView, to writer: inout JSONWriter) {
        writer.key("leadership")
        writer.beginObject()
        writer.field("term", leadership.term)
        writer.field("leader", leadership.leader.map { "\($0)" })
        writer.key("degraded")
        writer.bool(leadership.isDegraded)
        writer.field("coordinator", leadership.coordinator)
        writer.key("voters")
        writer.list(leadership.voters) { $1.string("\($0)") }
        writer.endObject()
    }

    private static func name(of role: Member.Role) -> String {
        switch role {
        case .full: "full"
        case .management: "management"
        case .worker: "worker"
        }
    }

    private static func write(_ view: MemberView, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("id", "\(view.member.node)")
        writer.field("name", view.member.name)
        writer.key("addresses")
        writer.list(view.member.addresses) { $1.string($0) }
        writer.key("tags")
        writer.list(view.member.tags) { $1.string($0) }
        writer.field("role", name(of: view.member.role))
        writer.key("draining")
        writer.bool(view.member.isDraining)
        writer.field("liveness", "\(view.liveness)")
        if let reading = view.reading {
            writer.field("usable_bytes", reading.usableBytes)
            writer.field("total_bytes", reading.totalBytes)
            writer.field("free_disk_bytes", reading.freeDiskBytes)
            writer.key("devices")
            writer.list(reading.devices) { device, writer in
                writer.beginObject()
                writer.field("name", device.name)
                writer.field("compute", device.compute)
                writer.field("total_bytes", device.totalBytes)
                writer.endObject()
            }
            write(speedOf: reading, to: &writer)
            writer.key("links")
            writer.list(reading.links) { link, writer in
                writer.beginObject()
                writer.field("id", "\(link.peer)")
                writer.field("round_trip_us", link.roundTripMicroseconds)
                writer.field("bytes_per_second", link.bytesPerSecond)
                writer.endObject()
            }
        }
        writer.endObject()
    }

    /// What the node's benchmark told; nothing while it has told nothing.
    private static func write(speedOf reading: NodeReading, to writer: inout JSONWriter) {
        guard let rate = reading.weightBytesPerSecond else { return }
        writer.key("speed")
        writer.beginObject()
        writer.field("weight_bytes_per_second", rate)
        writer.field("prefill_operations_per_second", reading.prefillOperationsPerSecond)
        writer.field("attention_operations_per_second", reading.attentionOperationsPerSecond)
        writer.key("weights")
        writer.list(reading.weightRates) { rate, writer in
            writer.beginObject()
            writer.field("type", rate.type)
            writer.field("bytes_per_second", rate.bytesPerSecond)
            writer.endObject()
        }
        writer.endObject()
    }

    private static func write(_ forecast: PlanForecast, to writer: inout JSONWriter) {
        writer.key("predicted")
        writer.beginObject()
        writer.key("measured")
        writer.bool(forecast.isMeasured)
        writer.field("token_us", forecast.tokenMicroseconds)
        writer.field("assumed_us", forecast.assumedMicroseconds)
        writer.key("tokens_per_second")
        writer.double(perSecond(forecast.tokenMicroseconds))
        writer.field("first_token_us", forecast.firstTokenMicroseconds)
        writer.field("prompt_tokens", forecast.promptTokens)
        writer.key("stages")
        writer.list(forecast.stages) { stage, writer in
            writer.beginObject()
            writer.field("token_us", stage.tokenMicroseconds)
            writer.field("assumed_us", stage.assumedMicroseconds)
            writer.key("tokens_per_second")
            writer.double(perSecond(stage.tokenMicroseconds))
            writer.field("read_bytes", stage.readBytes)
            writer.field("bytes_per_second", stage.bytesPerSecond)
            writer.field("cache_us", stage.cacheMicroseconds)
            writer.field("prompt_us", stage.promptMicroseconds)
            writer.field("hop_us", stage.hopMicroseconds)
            writer.endObject()
        }
        writer.endObject()
    }

    /// With two places.
    private static func perSecond(_ microseconds: UInt64) -> Double {
        microseconds > 0 ? (1e8 / Double(microseconds)).rounded() / 100 : 0
    }

    private static func write(_ view: DeploymentView, to writer: inout JSONWriter) {
        let deployment = view.deployment
        writer.beginObject()
        writer.field("name", deployment.name)
        writer.field("model", deployment.model)
        writer.field("replicas", UInt64(deployment.replicas))
        writer.field("context_tokens", deployment.contextTokens)
        writer.field("lanes", deployment.lanes)
        writer.field("stages", deployment.stages)
        writer.field("keep_alive_seconds", deployment.keepAliveMilliseconds.map { $0 / 1000 })
        writer.key("automatic")
        writer.bool(deployment.isAutomatic)
        if !deployment.draft.isEmpty { writer.field("draft", deployment.draft) }
        if !deployment.projector.isEmpty { writer.field("projector", deployment.projector) }
        if let keys = deployment.cacheKeys { writer.field("cache_type_k", keys.rawValue) }
        if let values = deployment.cacheValues { writer.field("cache_type_v", values.rawValue) }
        for (key, texts) in [("aliases", deployment.aliases), ("sources", deployment.sources)] where !texts.isEmpty {
            writer.key(key)
            writer.list(texts) { $1.string($0) }
        }
        writer.field("state", view.state.rawValue)
        if !view.reason.isEmpty { writer.field("reason", view.reason) }
        writer.field("progress_per_mille", view.progress.map { UInt64($0) })
        writer.key("placements")
        writer.list(view.placements) { placement, writer in
            writer.beginObject()
            writer.field("epoch", "\(placement.epoch)")
            writer.field("replica", UInt64(placement.replica.index))
            writer.field("phase", "\(placement.phase)")
            writer.field("context_tokens", placement.contextTokens)
            writer.field("lanes", placement.lanes)
            writer.key("stages")
            writer.list(placement.stages) { write($0, to: &$1) }
            writer.endObject()
        }
        writer.endObject()
    }

    private static func write(_ stage: StageAssignment, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("node", "\(stage.node)")
        writer.field("first_layer", UInt64(stage.layers.first))
        writer.field("end_layer", UInt64(stage.layers.end))
        writer.field("bytes", stage.bytes.bytes)
        if stage.projector.bytes > 0 { writer.field("projector_bytes", stage.projector.bytes) }
        writer.endObject()
    }
}

extension JSONWriter {
    /// A member whose value is text; nothing when there is none.
    fileprivate mutating func field(_ key: String, _ value: String?) {
        guard let value else { return }
        self.key(key)
        string(value)
    }

    /// A member whose value is a number; nothing when there is none.
    fileprivate mutating func field(_ key: String, _ value: UInt64?) {
        guard let value else { return }
        self.key(key)
        integer(value)
    }

    fileprivate mutating func list<Item>(_ items: [Item], _ write: (Item, inout JSONWriter) -> Void) {
        beginArray()
        for item in items { write(item, &self) }
        endArray()
    }
}
