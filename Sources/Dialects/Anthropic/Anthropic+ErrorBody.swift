extension Anthropic {
    /// `{"type":"error","error":{"type":…,"message":…},"request_id":…}`: the body of a response, or the data of an
    /// event.
    package static func errorBody(_ report: ErrorReport, requestID: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        writer.string("error")
        writer.key("error")
        writer.beginObject()
        writer.key("type")
        writer.string(errorType(report.kind))
        writer.key("message")
        // There is no place for the field, so the text must name it.
        let isNamed = report.param.map { report.message.contains($0) } ?? true
        writer.string(isNamed ? report.message : "\(report.param ?? ""): \(report.message)")
        writer.endObject()
        writer.key("request_id")
        writer.string(requestID)
        writer.endObject()
        return writer.bytes
    }

    /// Anthropic's word for a class of errors.
    package static func errorType(_ kind: ErrorReport.Kind) -> String {
        switch kind {
        case .invalidRequest: "invalid_request_error"
        case .notFound: "not_found_error"
        case .tooLarge: "request_too_large"
        case .authentication: "authentication_error"
        case .permission: "permission_error"
        case .rateLimit: "rate_limit_error"
        case .unavailable: "overloaded_error"
        case .timeout: "timeout_error"
        case .cancelled, .server: "api_error"
        }
    }
}
