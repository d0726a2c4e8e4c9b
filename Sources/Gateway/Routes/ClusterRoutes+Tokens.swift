import Dialects
import HTTPTypes
import Hummingbird

/// `/cluster/v1/tokens`: permissions to join.
extension ClusterRoutes {
    func addTokens(to routes: RouterGroup<GatewayContext>) {
        routes.get("tokens") { _, _ in
            do throws(TokenRefusal) {
                return Response(json: ClusterJSON.tokens(try await cluster.tokens()))
            } catch {
                return Self.response(error)
            }
        }
        routes.post("tokens") { request, _ in
            let wish = try Self.tokenWish(in: try await Self.body(request))
            do throws(TokenRefusal) {
                // The answer holds a secret: nobody on the way may keep it.
                var headers = HTTPFields()
                headers[.cacheControl] = "no-store"
                return Response(
                    status: .created, json: ClusterJSON.created(try await cluster.createToken(wish)), headers: headers)
            } catch {
                return Self.response(error)
            }
        }
        routes.delete("tokens/:id") { _, context in
            let id = PercentEncoding.decode(try context.parameters.require("id"))
            do throws(TokenRefusal) {
                try await cluster.revokeToken(id)
                return Response(json: ClusterJSON.done)
            } catch {
                return Self.response(error)
            }
        }
    }

    private static func response(_ refusal: TokenRefusal) -> Response {
        let (status, body) = ClusterJSON.refusal(refusal)
        return Response(status: .init(code: status), json: body)
    }

    private static let tokenKeys = ["uses", "ttl_seconds", "worker"]

    private static func tokenWish(in body: JSONNode) throws(ClusterRefusal) -> TokenWish {
        guard let members = body.members else {
            throw ClusterRefusal(400, "invalid", "The body is \(body.kind); it must be an object.")
        }
        if let other = members.first(where: { !tokenKeys.contains($0.key) }) {
            throw ClusterRefusal(
                400, "invalid", "'\(other.key)' is not known; allowed: \(tokenKeys.joined(separator: ", ")).")
        }
        var wish = TokenWish()
        if let uses = try integer("uses", body) { wish.uses = Int(uses) }
        if let life = try integer("ttl_seconds", body) { wish.lifeSeconds = Int64(life) }
        if let node = body["worker"], !node.isNull {
            guard let flag = node.bool else {
                throw ClusterRefusal(400, "invalid", "'worker' is \(node.kind); it must be true or false.")
            }
            wish.isForWorkers = flag
        }
        return wish
    }

    /// An integer that the cluster then holds against its own bounds, which are far narrower.
    private static func integer(_ key: String, _ body: JSONNode) throws(ClusterRefusal) -> Int32? {
        guard let node = body[key], !node.isNull else { return nil }
        guard let number = node.number else {
            throw ClusterRefusal(400, "invalid", "'\(key)' is \(node.kind); it must be an integer.")
        }
        guard case .exact(let value) = number.integer, let integer = Int32(exactly: value) else {
            throw ClusterRefusal(
                400, "invalid", "'\(key)' is \(number); it must be an integer of at most \(Int32.max).")
        }
        return integer
    }
}
