import HTTPTypes
import Hummingbird
import Vocabulary

/// Reads how long a client lets an answer take: no dialect has a field for it, so it is a header in all of them.
struct TimeoutMiddleware: RouterMiddleware {
    private static let name = "x-request-timeout"
    private static let field = HTTPField.Name(name)

    func handle(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let field = Self.field, let text = request.headers[field] else { return try await next(request, context) }
        var context = context
        context.timeoutSeconds = try Self.seconds(text)
        return try await next(request, context)
    }

    /// **Throws:** `invalidField` for anything but a positive number of seconds within the limit.
    static func seconds(_ text: String) throws(GenerationError) -> Double {
        let longest = Limits.longestTimeoutSeconds
        guard let seconds = Double(text), seconds > 0, seconds <= longest else {
            throw .invalidField(
                name: name, value: "'\(text.prefix(64))'",
                limit: "it must be a number of seconds above 0 and at most \(Int(longest))")
        }
        return seconds
    }
}
