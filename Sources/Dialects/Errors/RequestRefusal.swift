/// Why a request is refused before its body is looked at. All dialects need the same reasons.
package enum RequestRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The request has no API key.
    case missingKey
    /// The key is not known, expired or revoked.
    case unknownKey
    /// The key lacks the scope the route demands.
    case missingScope(String)
    /// A request without a key names the node by a name that is not its own.
    case hostNotAllowed(String)
    /// A request without a key was sent by another site's page.
    case originNotAllowed(String)
    /// The node's keys cannot be read, so nobody can be let in.
    case keysUnreadable
    /// No such route.
    case unknownRoute(method: String, path: String)
    /// The route exists, but not for this method.
    case methodNotAllowed(method: String, allowed: [String])
    /// The body is longer than the limit; `bytes` is nil when it was cut off while reading.
    case bodyTooLarge(bytes: Int?, limit: Int)
    /// The head of the request is larger than the limit.
    case headTooLarge(bytes: Int, fields: Int)
    /// The head of the request is no HTTP.
    case malformedHead
    /// A request for a WebSocket has not the version or key it needs.
    case badHandshake
    /// A WebSocket has been open for as long as one may be.
    case socketExpired(minutes: Int)
    /// There are too many connections.
    case tooManyConnections(limit: Int)
    /// The client did not send its request in time.
    case requestTimeout(seconds: Int)
    /// The client is over its rate.
    case rateLimited(limit: String, retryAfterSeconds: Int)
    /// Something unexpected; details are in the server's log under the request's id.
    case internalError(requestID: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .missingKey: "No API key was sent; send it as 'Authorization: Bearer KEY'."
        case .unknownKey: "The API key is not known, expired or revoked; create one with 'skein key create'."
        case .missingScope(let scope): "The API key lacks the scope '\(scope)'; use a key that has it."
        case .hostNotAllowed(let host):
            "This node does not answer to the name '\(clipped(host))' without a key; call it by address or localhost, "
                + "or start it with '--allow-host NAME'."
        case .originNotAllowed(let origin):
            "Pages of '\(clipped(origin))' may not use this node without a key; start it with '--cors-origin ORIGIN' "
                + "to let them."
        case .keysUnreadable: "This node cannot read its keys; its log says why. Try again when that is put right."
        case .unknownRoute(let method, let path): "There is no route \(clipped(method)) \(clipped(path))."
        case .methodNotAllowed(let method, let allowed):
            "The route does not take \(clipped(method)); it takes \(allowed.joined(separator: ", "))."
        case .bodyTooLarge(let bytes, let limit):
            bytes.map { "The request body has \($0) bytes; the limit is \(limit). Send a shorter request." }
                ?? "The request body is longer than the limit of \(limit) bytes. Send a shorter request."
        case .headTooLarge(let bytes, let fields):
            "The request's head is longer than \(bytes) bytes or has more than \(fields) fields; send fewer headers."
        case .malformedHead: "The request is not HTTP/1.1; send a request line, headers and an empty line."
        case .badHandshake:
            "The request for a WebSocket is not one of version 13 with a key of 16 bytes; use a WebSocket client."
        case .socketExpired(let minutes):
            "The WebSocket has been open for its \(minutes) minutes; open another one to continue."
        case .tooManyConnections(let limit):
            "All \(limit) connections are in use; close idle ones or try again in a moment."
        case .requestTimeout(let seconds): "The request was not received within \(seconds) s."
        case .rateLimited(let limit, let seconds): "The limit of \(limit) is reached; try again in \(seconds) s."
        case .internalError(let id): "Something unexpected happened; the server's log has it under request \(id)."
        }
    }
}
