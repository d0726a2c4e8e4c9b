import Dialects
import Testing
import Vocabulary

@Suite struct `Error mapping` {
    @Test(
        arguments: [
            (DialectError.bodyTooLarge(bytes: 9, limit: 8), 413, "request_too_large", nil),
            (.malformedJSON(.invalidUTF8(offset: 1)), 400, "invalid_json", nil),
            (.missingField("model"), 400, "missing_required_parameter", "model"),
            (.wrongType(field: "n", expected: "an integer", actual: "a string"), 400, "invalid_type", "n"),
            (.belowMinimum(field: "n", value: "0", minimum: "1", kind: .integer), 400, "integer_below_min_value", "n"),
            (
                .aboveMaximum(field: "top_p", value: "2", maximum: "1", kind: .decimal), 400, "decimal_above_max_value",
                "top_p"
            ),
            (.tooMany(field: "stop", count: 17, limit: 16), 400, "array_above_max_length", "stop"),
            (.tooFew(field: "messages", count: 0, minimum: 1), 400, "array_below_min_length", "messages"),
            (.tooLong(field: "model", bytes: 300, limit: 256), 400, "string_above_max_length", "model"),
            (.invalidValue(field: "x", value: "'y'", expected: "'z'"), 400, "invalid_value", "x"),
            (.unsupportedField(field: "audio", remedy: "r"), 400, "unsupported_parameter", "audio"),
            (.unsupportedValue(field: "x", value: "'y'", remedy: "r"), 400, "unsupported_value", "x"),
            (.conflict(field: "grammar", reason: "r"), 400, "conflicting_parameters", "grammar"),
        ] as [(DialectError, Int, String, String?)])
    func `a request that cannot be decoded`(error: DialectError, status: Int, code: String, param: String?) {
        let report = ErrorReport(error)
        #expect(report.status == status && report.code == code && report.param == param)
        #expect(report.retryAfterSeconds == nil)
        #expect(report.message == error.description)
        if let param { #expect(report.message.contains("'\(param)'")) }
    }

    @Test(
        arguments: [
            (GenerationError.invalidField(name: "n", value: "9", limit: "at most 4"), 400, "invalid_value", "n", nil),
            (.unsupported(feature: "f", remedy: "r"), 400, "unsupported_value", nil, nil),
            (
                .contextLengthExceeded(promptTokens: 9, outputTokens: 1, window: 8), 400, "context_length_exceeded",
                "messages", nil
            ),
            (.modelNotFound(name: "x", available: ["m"]), 404, "model_not_found", "model", nil),
            (.modelNotReady(name: "m", reason: "loading", retryAfterSeconds: 7), 503, "model_not_ready", "model", 7),
            (.overloaded(queued: 5, limit: 5, retryAfterSeconds: 0), 429, "rate_limit_exceeded", nil, 1),
            (.stageLost(stage: 1, reason: "x"), 503, "stage_lost", nil, 1),
            (.deadlineExceeded(seconds: 3), 504, "deadline_exceeded", nil, nil),
            (.cancelled, 499, "cancelled", nil, nil), (.clientTooSlow(limit: 9), 408, "client_too_slow", nil, nil),
            (.engineFailed(reason: "x"), 500, "engine_failed", nil, nil),
        ] as [(GenerationError, Int, String, String?, Int?)])
    func `a request that cannot be completed`(
        error: GenerationError, status: Int, code: String, param: String?, retry: Int?
    ) {
        let report = ErrorReport(error)
        #expect(report.status == status && report.code == code && report.param == param)
        #expect(report.retryAfterSeconds == retry)
        #expect(report.message == error.description)
    }

    @Test(arguments: [
        (RequestRefusal.missingKey, 401, "missing_api_key", "authentication_error"),
        (.unknownKey, 401, "invalid_api_key", "authentication_error"),
        (.missingScope("admin"), 403, "insufficient_scope", "permission_error"),
        (.hostNotAllowed("evil.example"), 403, "host_not_allowed", "permission_error"),
        (.originNotAllowed("http://evil.example"), 403, "origin_not_allowed", "permission_error"),
        (.keysUnreadable, 503, "keys_unreadable", "service_unavailable_error"),
        (.headTooLarge(bytes: 9, fields: 3), 431, "headers_too_large", "invalid_request_error"),
        (.malformedHead, 400, "malformed_request", "invalid_request_error"),
        (.badHandshake, 426, "websocket_handshake_failed", "invalid_request_error"),
        (.socketExpired(minutes: 60), 400, "websocket_connection_limit_reached", "invalid_request_error"),
        (.tooManyConnections(limit: 4), 503, "too_many_connections", "service_unavailable_error"),
        (.unknownRoute(method: "GET", path: "/x"), 404, "unknown_url", "invalid_request_error"),
        (.methodNotAllowed(method: "PUT", allowed: ["GET"]), 405, "method_not_allowed", "invalid_request_error"),
        (.bodyTooLarge(bytes: nil, limit: 8), 413, "request_too_large", "invalid_request_error"),
        (.requestTimeout(seconds: 5), 408, "request_timeout", "timeout_error"),
        (.rateLimited(limit: "60 requests/min", retryAfterSeconds: 2), 429, "rate_limit_exceeded", "rate_limit_error"),
        (.internalError(requestID: "00ff"), 500, "internal_error", "server_error"),
    ])
    func `a request refused at the door`(refusal: RequestRefusal, status: Int, code: String, type: String) {
        let report = ErrorReport(refusal)
        #expect(report.status == status && report.code == code)
        #expect(OpenAI.errorType(report.kind) == type)
        #expect(report.message == refusal.description && report.message.hasSuffix("."))
    }

    @Test func `a prompt that is too long is told what helps, and an answer's limit never does`() {
        for output in [0, 100_000] {
            let long = GenerationError.contextLengthExceeded(promptTokens: 9, outputTokens: output, window: 8)
            #expect(!long.description.contains("max_tokens") && long.description.contains("shorten the prompt"))
            // One that fits by itself leaves no room for as many answers as were asked for.
            let tight = GenerationError.contextLengthExceeded(promptTokens: 7, outputTokens: output, window: 8)
            #expect(!tight.description.contains("max_tokens") && tight.description.contains("fewer choices"))
        }
    }

    @Test func `every class of errors has a word`() {
        for kind in ErrorReport.Kind.allCases {
            #expect(!OpenAI.errorType(kind).isEmpty && !Anthropic.errorType(kind).isEmpty)
        }
    }

    @Test func `every row of the table holds together`() {
        for code in ErrorCode.allCases {
            let row = code.row
            #expect((400..<600).contains(row.status), "\(code)")
            #expect(code.rawValue.allSatisfy { $0.isLowercase || $0 == "_" }, "\(code): a label of metrics")
            let report = ErrorReport(code, param: "p", message: "m.", retryAfterSeconds: 0)
            #expect(report.status == row.status && report.kind == row.kind && report.severity == row.severity)
            #expect(report.code == code.rawValue && report.metricLabel == code.rawValue)
            // Whoever is to come back is told when, and nobody else is.
            let comesBack = [429, 503].contains(row.status)
            #expect((report.retryAfterSeconds != nil) == comesBack, "\(code)")
            #expect(report.retryAfterSeconds.map { $0 >= 1 } ?? true)
            // What is the server's fault is loud, what is the client's is not.
            #expect((row.severity == .error) == [.server].contains(row.kind) || row.status == 503, "\(code)")
            if row.status < 500, row.status != 403 { #expect(row.severity <= .info, "\(code)") }
        }
    }

    @Test func `an error body is these bytes`() {
        let report = ErrorReport(.aboveMaximum(field: "temperature", value: "3", maximum: "2", kind: .decimal))
        #expect(
            text(OpenAI.errorBody(report))
                == #"{"error":{"message":"Invalid 'temperature': decimal above maximum value. Expected a value <= 2, "#
                + #"but got 3 instead.","type":"invalid_request_error","param":"temperature","#
                + #""code":"decimal_above_max_value"}}"#)
        #expect(
            text(OpenAI.errorBody(ErrorReport(GenerationError.cancelled)))
                == #"{"error":{"message":"The request was cancelled.","type":"request_cancelled","param":null,"#
                + #""code":"cancelled"}}"#)
    }
}

extension ErrorReport.Severity {
    fileprivate static func <= (left: Self, right: Self) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) <= (allCases.firstIndex(of: right) ?? 0)
    }
}

@Suite struct `Models` {
    private let card = ModelCard(
        id: "tiny\"1", architecture: "qwen3", layerCount: 8, width: 256, trainedContext: 4096, servedContext: 2048,
        vocabularySize: 1000, parameterCount: 7_300_000, weightBytes: ByteCount(8_000_000), digest: "ab")

    @Test func `a model and the list of models are these bytes`() {
        var ready = OpenAI.Model(card: card, created: 7, owner: "skein", state: "ready")
        (ready.aliases, ready.sources, ready.aliasOf) = (["a", "b"], ["o/r@v:Q8_0"], "c")
        let json =
            #"{"id":"tiny\"1","object":"model","created":7,"owned_by":"skein","meta":{"state":"ready","#
            + #""reason":null,"architecture":"qwen3","n_ctx":2048,"n_ctx_train":4096,"n_params":7300000,"#
            + #""n_vocab":1000,"n_embd":256,"layers":8,"size":8000000,"digest":"ab","#
            + #""aliases":["a","b"],"sources":["o/r@v:Q8_0"],"alias_of":"c","sees":false}}"#
        #expect(text(OpenAI.body(of: ready)) == json)
        #expect(text(OpenAI.body(of: [ready, ready])) == #"{"object":"list","data":[\#(json),\#(json)]}"#)
        #expect(text(OpenAI.body(of: [])) == #"{"object":"list","data":[]}"#)
    }

    @Test func `a model that is not ready says why`() throws {
        let loading = OpenAI.Model(card: card, created: 7, owner: "o", state: "loading", reason: "Layer 3 of 8.")
        let node = try JSONReader.read(OpenAI.body(of: loading))
        #expect(node["meta"]?["state"]?.string == "loading" && node["meta"]?["reason"]?.string == "Layer 3 of 8.")
    }
}
