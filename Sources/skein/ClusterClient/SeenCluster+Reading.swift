import Dialects

/// What an answer lacks.
struct MissingField: Error, Hashable {
    let name: String
}

// What a newer node says beside is passed over; only what nothing can be shown without is demanded.
extension JSONNode {
    fileprivate func text(_ key: String) throws(MissingField) -> String {
        guard let text = self[key]?.string else { throw MissingField(name: key) }
        return text
    }

    fileprivate func number(_ key: String) throws(MissingField) -> UInt64 {
        guard let number = optionalNumber(key) else { throw MissingField(name: key) }
        return number
    }

    fileprivate func optionalNumber(_ key: String) -> UInt64? {
        // Bytes and terms have 64 bits, of which the exact view shows 63.
        self[key]?.number.flatMap { UInt64($0.text) }
    }

    fileprivate func list<Item>(
        _ key: String, _ read: (JSONNode) throws(MissingField) -> Item
    ) throws(MissingField) -> [Item] {
        guard let items = self[key]?.array else { throw MissingField(name: key) }
        var result: [Item] = []
        for item in items { result.append(try read(item)) }
        return result
    }

    fileprivate func texts(_ key: String) -> [String] { self[key]?.array?.compactMap(\.string) ?? [] }
}

extension SeenCluster {
    /// Reads the state.
    init(_ json: JSONNode) throws(MissingField) {
        guard let leadership = json["leadership"] else { throw MissingField(name: "leadership") }
        node = try json.text("node")
        cluster = json["cluster"]?.string
        self.leadership = try SeenLeadership(leadership)
        nodes = try json.list("nodes") { node throws(MissingField) in try SeenNode(node) }
        deployments = try json.list("deployments") { item throws(MissingField) in try SeenDeployment(item) }
        warnings = json.texts("warnings")
    }
}

extension SeenModel {
    /// Reads what a node lists, aliases aside.
    static func list(_ json: JSONNode) throws(MissingField) -> [SeenModel] {
        try json.list("data") { item throws(MissingField) in
            (try SeenModel(name: item.text("id"), state: item["meta"]?["state"]?.string ?? "?"), item)
        }.filter { $0.1["meta"]?["alias_of"]?.string == nil }.map(\.0)
    }
}

extension SeenLeadership {
    init(_ json: JSONNode) throws(MissingField) {
        term = try json.number("term")
        leader = json["leader"]?.string
        isDegraded = json["degraded"]?.bool ?? false
        voters = json.texts("voters")
        coordinator = json["coordinator"]?.string ?? "embedded"
    }
}

extension SeenNode {
    init(_ json: JSONNode) throws(MissingField) {
        id = try json.text("id")
        name = json["name"]?.string ?? ""
        addresses = json.texts("addresses")
        tags = json.texts("tags")
        role = json["role"]?.string ?? ""
        isDraining = json["draining"]?.bool ?? false
        liveness = json["liveness"]?.string ?? "unknown"
        usableBytes = json.optionalNumber("usable_bytes")
        totalBytes = json.optionalNumber("total_bytes")
        weightBytesPerSecond = json["speed"]?.optionalNumber("weight_bytes_per_second")
    }
}

extension SeenDeployment {
    init(_ json: JSONNode) throws(MissingField) {
        name = try json.text("name")
        model = json["model"]?.string ?? name
        replicas = json.optionalNumber("replicas") ?? 1
        state = try json.text("state")
        reason = json["reason"]?.string ?? ""
        progress = json.optionalNumber("progress_per_mille")
        placements = try json.list("placements") { item throws(MissingField) in try SeenPlacement(item) }
    }
}

extension SeenPlacement {
    init(_ json: JSONNode) throws(MissingField) {
        replica = try json.number("replica")
        epoch = json["epoch"]?.string ?? ""
        phase = try json.text("phase")
        contextTokens = json.optionalNumber("context_tokens")
        lanes = json.optionalNumber("lanes")
        stages = try json.list("stages") { item throws(MissingField) in try SeenStage(item) }
    }
}

extension SeenStage {
    init(_ json: JSONNode) throws(MissingField) {
        node = try json.text("node")
        firstLayer = try json.number("first_layer")
        endLayer = try json.number("end_layer")
        bytes = json.optionalNumber("bytes") ?? 0
        projectorBytes = json.optionalNumber("projector_bytes") ?? 0
    }
}

extension SeenPreview {
    /// Reads the answer to a plan.
    init(_ json: JSONNode) throws(MissingField) {
        guard let fits = json["fits"]?.bool else { throw MissingField(name: "fits") }
        self.fits = fits
        reason = json["reason"]?.string ?? ""
        contextTokens = json.optionalNumber("context_tokens")
        lanes = json.optionalNumber("lanes")
        stages = fits ? try json.list("stages") { item throws(MissingField) in try SeenStage(item) } : []
        // A node that tells it in another way tells no speed.
        forecast = json["predicted"].flatMap { try? SeenForecast($0) }
        candidates = try json.list("candidates") { item throws(MissingField) in
            SeenCandidate(
                id: try item.text("id"), name: item["name"]?.string ?? "",
                usableBytes: item.optionalNumber("usable_bytes"),
                promisedBytes: item.optionalNumber("promised_bytes"))
        }
        excluded = try json.list("excluded") { item throws(MissingField) in
            SeenExclusion(
                id: try item.text("id"), code: item["code"]?.string ?? "", reason: item["reason"]?.string ?? "")
        }
    }
}

extension SeenForecast {
    init(_ json: JSONNode) throws(MissingField) {
        isMeasured = json["measured"]?.bool ?? false
        tokenMicroseconds = try json.number("token_us")
        assumedMicroseconds = json.optionalNumber("assumed_us") ?? 0
        firstTokenMicroseconds = json.optionalNumber("first_token_us")
        promptTokens = json.optionalNumber("prompt_tokens")
        stages = try json.list("stages") { item throws(MissingField) in
            Stage(
                tokenMicroseconds: try item.number("token_us"), readBytes: try item.number("read_bytes"),
                bytesPerSecond: try item.number("bytes_per_second"),
                cacheMicroseconds: item.optionalNumber("cache_us") ?? 0, hopMicroseconds: item.optionalNumber("hop_us"))
        }
    }
}

extension SeenToken {
    /// Reads the list of tokens.
    static func list(_ json: JSONNode) throws(MissingField) -> [SeenToken] {
        try json.list("tokens") { item throws(MissingField) in try SeenToken(item) }
    }

    init(_ json: JSONNode) throws(MissingField) {
        id = try json.text("id")
        state = try json.text("state")
        uses = try json.number("uses")
        usesLeft = try json.number("uses_left")
        isForWorkers = json["worker"]?.bool ?? false
        guard case .exact(let seconds)? = json["expires"]?.number?.integer else { throw MissingField(name: "expires") }
        expires = seconds
    }
}
