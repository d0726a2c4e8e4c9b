import Cluster
import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// `/cluster/v1/…`: what the cluster is, what changes, and what is wanted of it.
struct ClusterRoutes: Sendable {
    /// Longest body of a request. **Units:** bytes.
    static let bodyBytes = 64 << 10
    /// Longest a request waits for a deployment. **Units:** seconds.
    static let waitSeconds = 600

    let cluster: any ClusterViewing

    func add(to router: Router<GatewayContext>) {
        let routes = router.group("cluster/v1").add(middleware: ClusterErrorShape())
        routes.get("state") { _, _ in
            var headers = HTTPFields()
            headers[.cacheControl] = "no-store"
            return Response(
                json: ClusterJSON.state(await cluster.currentView(), id: "\(cluster.life)"), headers: headers)
        }
        routes.get("nodes") { _, _ in Response(json: ClusterJSON.nodes(await cluster.currentView())) }
        routes.get("deployments") { _, _ in Response(json: ClusterJSON.deployments(await cluster.currentView())) }
        routes.get("models") { _, _ in Response(json: ClusterJSON.models(await cluster.models())) }
        routes.get("events") { request, _ in try await events(request) }
        routes.post("deployments") { request, _ in try await deploy(request) }
        routes.delete("deployments/:name") { _, context in
            let name = PercentEncoding.decode(try context.parameters.require("name"))
            return try await answer(.undeploy(name))
        }
        routes.post("nodes/:id/drain") { request, context in
            let node = try await member(try context.parameters.require("id"))
            let body = try await Self.body(request)
            return try await answer(.drain(node, try Self.flag("drain", in: body) ?? true))
        }
        routes.delete("nodes/:id") { _, context in
            try await answer(.remove(try await member(try context.parameters.require("id"))))
        }
        routes.post("plan") { request, _ in
            let wish = try DeploymentWish.read(try await Self.body(request))
            return Response(json: ClusterJSON.preview(await cluster.preview(wish)))
        }
        addTokens(to: routes)
    }

    /// Methods of a path of these routes; nil for other paths.
    static func methods(of path: RoutePath) -> [String]? {
        guard path.components.starts(with: ["cluster", "v1"]) else { return nil }
        switch path.components.dropFirst(2).map(String.init) {
        case ["state"], ["nodes"], ["models"], ["events"]: return ["GET"]
        case ["deployments"], ["tokens"]: return ["GET", "POST"]
        case ["plan"]: return ["POST"]
        case let rest where rest.count == 2 && ["deployments", "nodes", "tokens"].contains(rest[0]): return ["DELETE"]
        case let rest where rest.count == 3 && rest[0] == "nodes" && rest[2] == "drain": return ["POST"]
        default: return nil
        }
    }

    // MARK: Wishes

    private func deploy(_ request: Request) async throws -> Response {
        let wait = try Self.wait(request)
        let asked = try DeploymentWish.read(try await Self.body(request))
        let wish: Deployment
        switch await cluster.completed(asked) {
        case .success(let completed): wish = completed
        case .failure(let refusal): return Self.response(.refused(refusal))
        }
        let outcome = try await cluster.apply(.deploy(wish))
        if case .refused = outcome { return Self.response(outcome) }
        guard let seconds = wait else { return Self.response(outcome, name: wish.name) }
        guard let view = await settled(wish.name, seconds: seconds) else {
            throw ClusterRefusal(
                504, "not_ready",
                "'\(wish.name)' is not ready after \(seconds) s; GET /cluster/v1/deployments tells more.")
        }
        if view.state == .failed { throw ClusterRefusal(409, "failed", view.reason) }
        return Response(json: ClusterJSON.deployment(view))
    }

    /// Waits until a deployment is ready or given up; nil when the time is over first.
    private func settled(_ name: String, seconds: Int) async -> DeploymentView? {
        await withTaskGroup(of: DeploymentView?.self) { group in
            group.addTask {
                guard let updates = await cluster.updates(after: nil) else { return nil }
                for await _ in updates {
                    let view = await cluster.currentView().deployments.first { $0.deployment.name == name }
                    // While an earlier wish still serves, this one is not ready.
                    let isCurrent = view?.placements.allSatisfy { placement in
                        placement.phase != .active || placement.wish == view?.deployment.wish
                    }
                    if let view, view.state == .failed || view.state == .ready && isCurrent == true { return view }
                }
                return nil
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(seconds))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private func answer(_ action: Command.Action) async throws -> Response {
        Self.response(try await cluster.apply(action))
    }

    private static func response(_ outcome: CommandOutcome, name: String? = nil) -> Response {
        let (status, body) = ClusterJSON.outcome(outcome, name: name)
        return Response(status: .init(code: status), json: body)
    }

    /// A member by its id or its name.
    private func member(_ text: String) async throws(ClusterRefusal) -> NodeID {
        let text = PercentEncoding.decode(text)
        let members = await cluster.currentView().members.map(\.member)
        if let member = members.first(where: { "\($0.node)" == text }) { return member.node }
        let named = members.filter { $0.name == text }
        guard named.count < 2 else {
            throw ClusterRefusal(409, "conflict", "\(named.count) nodes are named '\(text)'; use the id of one.")
        }
        guard let member = named.first else {
            throw ClusterRefusal(
                404, "not_found", "No node has the id or name '\(text)'; GET /cluster/v1/nodes lists them.")
        }
        return member.node
    }

    // MARK: Reading

    static func body(_ request: Request) async throws -> JSONNode {
        var request = request
        let bytes = Array(try await request.collectBody(upTo: bodyBytes).readableBytesView)
        guard !bytes.isEmpty else { return JSONNode(.object([]), offset: 0) }
        do {
            return try JSONReader.read(bytes)
        } catch {
            throw ClusterRefusal(400, "invalid", "The body is no JSON: \(error)")
        }
    }

    private static func flag(_ key: String, in body: JSONNode) throws(ClusterRefusal) -> Bool? {
        if let other = body.members?.first(where: { $0.key != key }) {
            throw ClusterRefusal(400, "invalid", "'\(other.key)' is not known here; allowed: \(key).")
        }
        guard let node = body[key] else { return nil }
        guard let flag = node.bool else {
            throw ClusterRefusal(400, "invalid", "'\(key)' is \(node.kind); it must be true or false.")
        }
        return flag
    }

    /// Seconds to wait for `?wait=ready`, nil without; `?timeout=` says how long.
    private static func wait(_ request: Request) throws(ClusterRefusal) -> Int? {
        let query = request.uri.queryParameters
        guard let wait = query["wait"].map({ String($0) }), wait != "committed" else { return nil }
        guard wait == "ready" else {
            throw ClusterRefusal(400, "invalid", "wait is '\(wait)'; it takes committed or ready.")
        }
        guard let text = query["timeout"].map({ String($0) }) else { return 60 }
        guard let seconds = Int(text), (1...waitSeconds).contains(seconds) else {
            throw ClusterRefusal(400, "invalid", "timeout is '\(text)'; it takes 1 … \(waitSeconds) seconds.")
        }
        return seconds
    }

    // MARK: Events

    private func events(_ request: Request) async throws -> Response {
        let name = HTTPField.Name("Last-Event-ID")
        let last = name.flatMap { request.headers[$0] } ?? request.uri.queryParameters["after"].map { String($0) }
        guard let updates = await cluster.updates(after: last.flatMap { number(of: $0) }) else {
            throw ClusterRefusal(503, "overloaded", "Too many clients watch this node; ask another one.")
        }
        var headers = HTTPFields()
        headers[.contentType] = "text/event-stream"
        headers[.cacheControl] = "no-cache"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                for await update in updates { try await writer.write(ByteBuffer(bytes: bytes(of: update))) }
                try await writer.finish(nil)
            })
    }

    /// An id counts only within this life of this node.
    private func number(of id: String) -> UInt64? {
        let parts = id.split(separator: "-")
        guard parts.count == 2, UInt64(parts[0]) == cluster.life else { return nil }
        return UInt64(parts[1])
    }

    private func bytes(of update: ClusterUpdate) -> [UInt8] {
        var bytes: [UInt8] = []
        switch update {
        case .snapshot(let number, let view):
            let id = "\(cluster.life)-\(number)"
            bytes.append(contentsOf: "id: \(id)\n".utf8)
            ServerSentEvents.appendEvent(named: "state", data: ClusterJSON.state(view, id: id), to: &bytes)
        case .changes(let last, let changes):
            let first = last - UInt64(changes.count) + 1
            for (place, change) in changes.enumerated() {
                let (name, data) = ClusterJSON.change(change)
                bytes.append(contentsOf: "id: \(cluster.life)-\(first + UInt64(place))\n".utf8)
                ServerSentEvents.appendEvent(named: name, data: data, to: &bytes)
            }
        }
        return bytes
    }
}

/// Why a request to the cluster is refused before the cluster sees it.
struct ClusterRefusal: Error {
    let status: Int
    let code: String
    let message: String

    init(_ status: Int, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }
}

/// Errors of these routes in their own shape: `{"error":{"code":…,"message":…}}`.
struct ClusterErrorShape: RouterMiddleware {
    func handle(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let refusal as ClusterRefusal {
            return Response(
                status: .init(code: refusal.status),
                json: ClusterJSON.error(code: refusal.code, message: refusal.message))
        } catch let error as any HTTPResponseError where error.status == .contentTooLarge {
            return Response(
                status: .contentTooLarge,
                json: ClusterJSON.error(
                    code: "too_large", message: "The body is longer than \(ClusterRoutes.bodyBytes) bytes."))
        } catch let error as any HTTPResponseError {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return Response(
                status: .serviceUnavailable, json: ClusterJSON.error(code: "stopping", message: "\(error)"))
        }
    }
}
