/// Why a request is refused before its body is looked at. All dialects need the same reasons.
package enum RequestRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The request has no API key.
    case missingKey
    /// The key is not known, expired or revoked.
    case unknownKey
    /// The key lacks the scope the route demands.
    case missingScope(String)
    /// No such route.
    case unknownRoute(method: String, path: String)
    /// The route exists, but not for this method.
    case methodNotAllowed(method: String, allowed: [String])
    /// The body is not JSON by its own header.
    case unsupportedMediaType(String)
    /// The body is longer than the limit; `bytes` is nil when it was cut off while reading.
    case bodyTooLarge(bytes: Int?, limit: Int)
    /// The client did not send its request in time.
    case requestTimeout(seconds: Int)
    /// The client is over its rate.
    case rateLimited(limit: String, retryAfterSeconds: Int)
    /// The server is going down.
    case draining(retryAfterSeconds: Int)
    /// Something unexpected; details are in the server's log under the request's id.
    case internalError(requestID: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .missingKey: "No API key was sent; send it as 'Authorization: Bearer KEY'."
        case .unknownKey: "The API key is not known, expired or revoked; create one with 'skein keys create'."
        case .missingScope(let scope): "The API key lacks the scope '\(scope)'; use a key that has it."
        case .unknownRoute(let method, let path): "There is no route \(clipped(method)) \(clipped(path))."
        case .methodNotAllowed(let method, let allowed):
            "The route does not take \(clipped(method)); it takes \(allowed.joined(separator: ", "))."
        case .unsupportedMediaType(let type):
            "The content type '\(clipped(type))' is not supported; send application/json."
        case .bodyTooLarge(let bytes, let limit):
            bytes.map { "The request body has \($0) bytes; the limit is \(limit). Send a shorter request." }
                ?? "The request body is longer than the limit of \(limit) bytes. Send a shorter request."
        case .requestTimeout(let seconds): "The request was not received within \(seconds) s."
        case .rateLimited(let limit, let seconds): "The limit of \(limit) is reached; try again in \(seconds) s."
        case .draining(let seconds): "This node is shutting down; try again in \(seconds) s."
        case .internalError(let id): "Something unexpected happened; the server's log has it under request \(id)."
        }
    }
}
