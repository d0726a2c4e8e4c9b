import Dialects
import HTTPTypes
import Hummingbird
import Logging

/// Finds out who sent a request, and refuses who may not.
struct AccessMiddleware: RouterMiddleware {
    let gate: AccessGate

    func handle(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let facts = Self.facts(of: request)
        var context = context
        context.caller = try gate.caller(facts) { error in
            context.logger.error("keys cannot be read", metadata: ["error": "\(error)"])
        }
        context.gate = gate
        return try await next(request, context)
    }

    /// What of a request decides about access.
    static func facts(of request: Request) -> AccessFacts {
        AccessFacts(
            method: request.method.rawValue, path: request.uri.path, authority: request.head.authority,
            origin: request.headers[.origin], digest: secret(request.headers).map(KeySecret.digest))
    }

    /// The key of a request: OpenAI's and Ollama's clients send it as `Authorization: Bearer`, Anthropic's as
    /// `x-api-key`.
    static func secret(_ headers: HTTPFields) -> String? {
        if let key = headers[.apiKey], !key.isEmpty { return bounded(key) }
        guard let value = headers[.authorization] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let key = parts[1].filter { $0 != " " }
        return key.isEmpty ? nil : bounded(key)
    }

    /// Nothing of ours is longer; what is, is no key of ours and is not worth a digest.
    private static func bounded(_ key: String) -> String {
        key.utf8.count <= Limits.presentedKeyBytes ? key : String(key.prefix(Limits.presentedKeyBytes))
    }
}

/// Lets pages of configured origins read answers (CORS); does nothing for others.
struct CrossOriginMiddleware: RouterMiddleware {
    let policy: AccessPolicy

    func handle(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin], policy.allowsReading(origin: origin) else {
            return try await next(request, context)
        }
        if request.method == .options, request.headers[.accessControlRequestMethod] != nil {
            return preflight(request, origin)
        }
        var response = try await next(request, context)
        mark(&response.headers, origin)
        response.headers[.accessControlExposeHeaders] = "x-request-id, request-id, warnings, retry-after"
        return response
    }

    private func preflight(_ request: Request, _ origin: String) -> Response {
        var headers = HTTPFields()
        mark(&headers, origin)
        headers[.accessControlAllowMethods] = "GET, POST, DELETE, HEAD, OPTIONS"
        // Browsers that ask name what they want to send; SDKs send many headers of their own.
        headers[.accessControlAllowHeaders] =
            request.headers[.accessControlRequestHeaders] ?? "authorization, content-type, x-api-key"
        headers[.accessControlMaxAge] = "600"
        return Response(status: .noContent, headers: headers)
    }

    private func mark(_ headers: inout HTTPFields, _ origin: String) {
        headers[.accessControlAllowOrigin] = origin
        headers[.vary] = "origin"
    }
}

extension HTTPField.Name {
    static let apiKey = HTTPField.Name("x-api-key") ?? .authorization
}
