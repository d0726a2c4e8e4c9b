extension OpenAI {
    /// `{"error":{"message":…,"type":…,"param":…,"code":…}}`: the body of a response, or the data of an event.
    package static func errorBody(_ report: ErrorReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        writer.key("message")
        writer.string(report.message)
        writer.key("type")
        writer.string(errorType(report.kind))
        writer.key("param")
        writer.string(orNull: report.param)
        writer.key("code")
        writer.string(report.code)
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    /// OpenAI's word for a class of errors.
    package static func errorType(_ kind: ErrorReport.Kind) -> String {
        switch kind {
        case .invalidRequest, .notFound, .tooLarge: "invalid_request_error"
        case .authentication: "authentication_error"
        case .permission: "permission_error"
        case .rateLimit: "rate_limit_error"
        case .unavailable: "service_unavailable_error"
        case .timeout: "timeout_error"
        case .cancelled: "request_cancelled"
        case .server: "server_error"
        }
    }
}
