import Dialects
import Testing
import Vocabulary

private let digest = String(repeating: "a1", count: 32)

@Suite struct `Making models in Ollama's dialect` {
    private func create(_ fields: String) throws(DialectError) -> Ollama.CreateRequest {
        try Ollama.CreateRequest.decode(bytes("{\(fields)}"))
    }

    private func error(_ fields: String) -> DialectError? {
        do throws(DialectError) {
            _ = try create(fields)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a variant of a model is read with all it says`() throws {
        let wish = try create(
            #""model":"mine:latest","from":"tiny:latest","system":"Be brief.","stream":false,"license":["A","B"],"#
                + #""parameters":{"top_k":7,"stop":["x","y"],"temperature":0.5,"num_predict":9,"typ_p":0.5},"#
                + #""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"}],"template":"T""#)
        #expect(wish.name == "mine" && wish.source == .model("tiny:latest") && !wish.stream)
        #expect(wish.system == "Be brief." && wish.license == "A\nB" && wish.template == "T")
        #expect(
            wish.parameters == [
                .init(name: "num_predict", value: "9"), .init(name: "stop", value: #"["x","y"]"#),
                .init(name: "temperature", value: "0.5"), .init(name: "top_k", value: "7"),
                .init(name: "typical_p", value: "0.5"),
            ])
        #expect(wish.messages == [.init(role: .user, text: "Hi"), .init(role: .assistant, text: "Ho")])
        #expect(wish.warnings.isEmpty)
    }

    @Test func `a model of a file names it by its digest, in either way`() throws {
        #expect(try create(#""model":"m","files":{"m.gguf":"sha256:\#(digest)"}"#).source == .blob(digest))
        #expect(try create(#""model":"m","from":"@sha256:\#(digest)""#).source == .blob(digest))
        #expect(error(#""model":"m","files":{"m.gguf":"sha256:\#(digest.uppercased())"}"#)?.field == "files.m.gguf")
        #expect(error(#""model":"m","files":{"a":"sha256:\#(digest)","b":"sha256:\#(digest)"}"#)?.field == "files")
        #expect(error(#""model":"m","files":{"a":"sha256:\#(digest)"},"from":"b""#)?.field == "files.a")
        #expect(error(#""model":"m","files":{}"#) == .missingField("from or files"))
        for path in ["/etc/passwd", "./m.gguf", "~/m.gguf", "..", #"\\host"#] {
            #expect(error(#""model":"m","from":"\#(path)""#)?.field == "from", "\(path)")
        }
    }

    @Test func `options without effect are not kept and warned about`() throws {
        let wish = try create(#""model":"m","from":"b","parameters":{"num_ctx":4096,"seed":7}"#)
        #expect(wish.parameters == [.init(name: "seed", value: "7")])
        #expect(wish.warnings.count == 1 && wish.warnings[0].contains("num_ctx"))
    }

    @Test(arguments: [
        (#""from":"b""#, "model"), (#""model":"m","name":"n","from":"b""#, "name"),
        (#""model":"m","from":"b","quantize":"q4_K_M""#, "quantize"),
        (#""model":"m","from":"b","adapters":{"a":"b"}"#, "adapters"),
        (#""model":"m","from":"b","renderer":"x""#, "renderer"),
        (#""model":"m","from":"b","parameters":{"nonesuch":1}"#, "parameters"),
        (#""model":"m","from":"b","parameters":{"temperature":"hot"}"#, "parameters.temperature"),
        (#""model":"m","from":"b","parameters":{"top_p":2}"#, "parameters.top_p"),
        (#""model":"m","from":"b","parameters":{"tfs_z":0.5}"#, "parameters.tfs_z"),
        (#""model":"m","from":"b","messages":[{"content":"x"}]"#, "messages[0].role"),
        (#""model":"m","from":"b","messages":[{"role":"tool","content":"x"}]"#, "messages[0].role"),
        (#""model":"m","from":"b","messages":[{"role":"user","images":["x"]}]"#, "messages[0].images"),
        (#""model":"m","from":"b","modelfile":"FROM b""#, "from"),
        (#""model":"m","system":"s","modelfile":"FROM b""#, "system"),
        (#""model":"m","modelfile":"SYSTEM hi""#, "modelfile"), (#""model":"m","path":"/x""#, "path"),
    ])
    func `what cannot be is refused by its name`(fields: String, field: String) {
        #expect(error(fields)?.field == field)
    }

    @Test func `names are bounded and cannot mean something else`() {
        let part = String(repeating: "x", count: Ollama.ModelNames.partBytes)
        for name in ["m", "m:v1", "space/m", "host.example/space/m:v_1.2-b", "_m", "\(part):\(part)"] {
            #expect(error(#""model":"\#(name)","from":"b""#) == nil, "\(name)")
        }
        let bad = [
            "", ":", "m:", ":v", "a/b/c/d", "a//b", "-m", ".m", "m:v:w", "m m", "\(part)x", "ü", "auto", "auto:latest",
            digest, "m\\u0000", "../m",
        ]
        for name in bad { #expect(error(#""model":"\#(name)","from":"b""#)?.field == "model", "\(name)") }
    }

    @Test func `texts and lists are bounded`() {
        let long = String(repeating: "x", count: Limits.variantTextBytes + 1)
        #expect(error(#""model":"m","from":"b","system":"\#(long)""#)?.field == "system")
        #expect(error(#""model":"m","from":"b","messages":[{"role":"user","content":"\#(long)"}]"#)?.field != nil)
        let many = Array(repeating: #"{"role":"user","content":"x"}"#, count: Limits.variantMessages + 1)
        #expect(error(#""model":"m","from":"b","messages":[\#(many.joined(separator: ","))]"#)?.field == "messages")
        let licenses = Array(repeating: #""x""#, count: Limits.licenses + 1).joined(separator: ",")
        #expect(error(#""model":"m","from":"b","license":[\#(licenses)]"#)?.field == "license")
        let files = (0...Limits.files).map { #""\#($0)":"sha256:\#(digest)""# }.joined(separator: ",")
        #expect(error(#""model":"m","files":{\#(files)}"#)?.field == "files")
        let lines = String(repeating: #"MESSAGE user x\n"#, count: Limits.variantMessages + 1)
        #expect(error(#""model":"m","modelfile":"FROM b\n\#(lines)""#)?.field == "modelfile")
        #expect(error(#""model":"m","modelfile":"FROM b\nSYSTEM \#(long)""#)?.field == "modelfile")
    }

    @Test func `copies and removals are read`() throws {
        let copy = try Ollama.CopyRequest.decode(bytes(#"{"source":"a:latest","destination":"b:latest"}"#))
        #expect(copy.source == "a:latest" && copy.destination == "b")
        for (body, field) in [
            (#"{"source":"a"}"#, "destination"), (#"{"destination":"a"}"#, "source"),
            (#"{"source":"a","destination":"b c"}"#, "destination"),
        ] {
            #expect {
                try Ollama.CopyRequest.decode(bytes(body))
            } throws: { ($0 as? DialectError)?.field == field }
        }
        #expect(try Ollama.ModelRequest.decode(bytes(#"{"name":"a"}"#), route: .delete).model == "a")
    }
}

@Suite struct `Modelfiles` {
    private func create(_ lines: String...) throws -> Ollama.CreateRequest {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("model")
        writer.string("m")
        writer.key("modelfile")
        writer.string(lines.joined(separator: "\n"))
        writer.endObject()
        return try Ollama.CreateRequest.decode(writer.bytes)
    }

    private func refusal(_ lines: String) -> String {
        do {
            _ = try create(lines)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func `every instruction is read`() throws {
        let wish = try create(
            "# a comment", "", "from tiny", "PARAMETER temperature 0.5", "PARAMETER stop <end>",
            "parameter stop \"two words\"", "  SYSTEM \"\"\"Line 1", "Line \"2\"", "\"\"\"  ",
            "MESSAGE user Hello there",
            "MESSAGE assistant \"\"\"Hi\"\"\"", "LICENSE MIT\r", "LICENSE \"\"\"And", "more\"\"\"")
        #expect(wish.source == .model("tiny"))
        #expect(wish.system == "Line 1\nLine \"2\"\n")
        #expect(
            wish.parameters == [
                .init(name: "stop", value: #"["<end>","two words"]"#), .init(name: "temperature", value: "0.5"),
            ])
        #expect(wish.messages == [.init(role: .user, text: "Hello there"), .init(role: .assistant, text: "Hi")])
        #expect(wish.license == "MIT\nAnd\nmore")
    }

    @Test(arguments: [
        ("FROM a\nADAPTER x", "line 2: 'ADAPTER'"), ("FROM a\nFROM b", "line 2: a second FROM"),
        ("FROM a\n\nSYSTEM", "line 3: SYSTEM without a value"), ("FROM a\nMESSAGE robot x", "line 2: MESSAGE 'robot'"),
        ("FROM a\nSYSTEM \"\"\"open", "line 2: SYSTEM with open quotes"), ("FROM a\nSYSTEM \"open", "an open quote"),
        ("FROM a\nSYSTEM \"\"\"x\n\"\"\" y", "line 3: text behind the closing quotes"),
        ("SYSTEM x", "text without FROM"), ("FROM a\nPARAMETER nonesuch 1", "'nonesuch'"),
        ("FROM a\nPARAMETER temperature hot", "modelfile.temperature"), ("FROM /etc/passwd", "the path"),
        ("FROM a\nREQUIRES 0.5", "line 2: 'REQUIRES'"),
    ])
    func `a line that cannot be is refused by its number`(text: String, reason: String) {
        #expect(refusal(text).contains(reason), "\(refusal(text))")
    }

    @Test func `what is shown of a variant makes it again`() throws {
        var variant = ModelVariant(name: "m", base: "tiny", created: 0)
        variant.system = "Be\n\"brief\"."
        variant.parameters = [
            .init(name: "stop", value: #"["a b","\"q\"","line\nbreak"]"#), .init(name: "temperature", value: "0.5"),
        ]
        variant.messages = [.init(role: .user, text: "Hi\nthere"), .init(role: .assistant, text: "Ho")]
        variant.license = "MIT"
        var model = Ollama.Model(card: card, modified: Timestamp(seconds: 0))
        model.variant = variant
        let shown = try JSONReader.read(Ollama.showBody(model))
        let again = try create(try #require(shown["modelfile"]?.string))
        #expect(again.source == .model("tiny") && again.system == variant.system)
        #expect(again.parameters == variant.parameters && again.messages == variant.messages)
        #expect(again.license == "MIT")
        #expect(shown["system"]?.string == variant.system && shown["license"]?.string == "MIT")
        #expect(shown["details"]?["parent_model"]?.string == "tiny")
        #expect(shown["messages"]?[1]?["content"]?.string == "Ho")
        #expect(shown["parameters"]?.string?.contains("temperature 0.5\nnum_ctx 2048") == true)
    }

    private var card: ModelCard {
        ModelCard(
            id: "m", architecture: "qwen3", layerCount: 8, width: 256, trainedContext: 4096, servedContext: 2048,
            vocabularySize: 1000, parameterCount: 7_300_000, weightBytes: ByteCount(8_000_000), digest: digest)
    }

    @Test func `the time a model is unloaded at is told, and for ever only where it stays`() throws {
        var model = Ollama.Model(card: card, modified: Timestamp(seconds: 0))
        func running() throws -> JSONNode? { try JSONReader.read(Ollama.runningBody([model]))["models"]?[0] }
        #expect(try running()?["expires_at"]?.string == "9999-12-31T23:59:59Z")
        #expect(try running()?["size_vram"]?.text == "8000000")
        model.expires = Timestamp(seconds: 1_721_680_408)
        model.isOnGPU = false
        #expect(try running()?["expires_at"]?.string == "2024-07-22T20:33:28.000000Z")
        #expect(try running()?["size_vram"]?.text == "0")
    }
}

@Suite struct `Defaults of variants` {
    private var variant: ModelVariant {
        var variant = ModelVariant(name: "mine", base: "tiny", created: 0)
        variant.system = "Be brief."
        variant.messages = [.init(role: .user, text: "Hi"), .init(role: .assistant, text: "Ho")]
        variant.parameters = [
            .init(name: "num_predict", value: "5"), .init(name: "repeat_penalty", value: "1.5"),
            .init(name: "seed", value: "9"), .init(name: "stop", value: #"["END"]"#),
            .init(name: "temperature", value: "0.25"), .init(name: "typical_p", value: "0.75"),
        ]
        return variant
    }

    private func applied(_ request: GenerationRequest) -> GenerationRequest {
        var request = request
        Ollama.apply(variant, to: &request)
        return request
    }

    private func roles(_ request: GenerationRequest) -> [String] {
        guard case .chat(let messages) = request.prompt else { return [] }
        return messages.map { "\($0.role): \($0.text)" }
    }

    @Test func `a request that says nothing gets them in every dialect`() throws {
        let id = RequestID(1)
        let chat = #"{"model":"mine","messages":[{"role":"user","content":"x"}]}"#
        let requests = [
            try OpenAI.ChatCompletion.decode(bytes(chat), id: id).request,
            try Ollama.AnswerRequest.decode(bytes(chat), route: .chat, id: id).decoded.request,
            try Ollama.AnswerRequest.decode(bytes(#"{"model":"mine","prompt":"x"}"#), route: .generate, id: id)
                .decoded.request,
        ]
        for request in requests.map(applied) {
            #expect(request.model == "tiny")
            #expect(roles(request) == ["system: Be brief.", "user: Hi", "assistant: Ho", "user: x"])
            #expect(request.maxOutputTokens == 5 && request.stop == ["END"] && request.sampling.seed == 9)
            #expect(request.sampling.temperature == 0.25 && request.sampling.repeatPenalty == 1.5)
            #expect(request.sampling.typicalP == 0.75)
        }
        #expect(applied(requests[1]).sampling.topK == 40, "a dialect's own default stays where the variant has none")
    }

    @Test func `what a request says itself counts, also when it says the usual`() throws {
        let id = RequestID(1)
        let openAI = applied(
            try OpenAI.ChatCompletion.decode(
                bytes(
                    #"{"model":"mine","messages":[{"role":"developer","content":"Shout."},"#
                        + #"{"role":"user","content":"x"}],"#
                        + #""temperature":1,"max_completion_tokens":7,"stop":"STOP","repetition_penalty":1,"seed":1,"#
                        + #""typ_p":1}"#), id: id
            ).request)
        #expect(roles(openAI) == ["developer: Shout.", "user: Hi", "assistant: Ho", "user: x"])
        #expect(openAI.sampling.temperature == 1 && openAI.sampling.repeatPenalty == 1 && openAI.sampling.typicalP == 1)
        #expect(openAI.maxOutputTokens == 7 && openAI.stop == ["STOP"] && openAI.sampling.seed == 1)
        let anthropic = applied(
            try Anthropic.MessageRequest.decode(
                bytes(
                    #"{"model":"mine","max_tokens":7,"system":"Shout.","messages":[{"role":"user","content":"x"}],"#
                        + #""temperature":1,"stop_sequences":["S"]}"#), id: id
            ).decoded.request)
        #expect(roles(anthropic) == ["system: Shout.", "user: Hi", "assistant: Ho", "user: x"])
        #expect(anthropic.sampling.temperature == 1 && anthropic.maxOutputTokens == 7 && anthropic.stop == ["S"])
        #expect(anthropic.sampling.seed == 9)
        let ollama = applied(
            try Ollama.AnswerRequest.decode(
                bytes(#"{"model":"mine","prompt":"x","options":{"temperature":0.8,"num_predict":-1,"stop":[]}}"#),
                route: .generate, id: id
            ).decoded.request)
        #expect(ollama.sampling.temperature == 0.8 && ollama.maxOutputTokens == nil && ollama.stop.isEmpty)
        let responses = applied(
            try Responses.Request.decode(
                bytes(#"{"model":"mine","input":"x","max_output_tokens":17,"temperature":1}"#), id: id
            ).generation)
        #expect(responses.sampling.temperature == 1 && responses.maxOutputTokens == 17 && responses.sampling.seed == 9)
    }

    @Test func `a request that generates nothing goes on doing so, and a plain text stays alone`() {
        var load = GenerationRequest(id: RequestID(1), model: "mine", prompt: .text(" "))
        load.maxOutputTokens = 0
        #expect(applied(load).maxOutputTokens == 0)
        guard case .text(" ") = applied(load).prompt else {
            Issue.record("the prompt changed")
            return
        }
        var vector = load
        vector.embedding = EmbeddingWish()
        vector.maxOutputTokens = nil
        #expect(applied(vector).model == "tiny" && applied(vector).maxOutputTokens == nil)
    }

    @Test func `a default that is not understood any more has no effect`() {
        var old = variant
        old.parameters = [
            .init(name: "gone", value: "1"), .init(name: "temperature", value: "\"hot\""),
            .init(name: "top_k", value: "{"), .init(name: "top_p", value: "0.5"),
        ]
        var request = GenerationRequest(id: RequestID(1), model: "mine", prompt: .text("x"))
        Ollama.apply(old, to: &request)
        #expect(request.sampling.temperature == 1 && request.sampling.topK == 0 && request.sampling.topP == 0.5)
    }
}

@Suite struct `The lines of a pull` {
    @Test func `each step is told once and the end is success or an error`() {
        var encoder = Ollama.PullEncoder()
        var lines: [UInt8] = []
        let completion = Completion(
            finishReasons: [.length], stopTexts: [nil], usage: Usage(promptTokens: 1, outputTokens: 0),
            timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))
        let events: [GenerationEvent] = [
            .preparing("fetching"), .preparing("fetching"), .queued(position: 2, predictedWaitSeconds: nil),
            .started(promptTokens: 1, cachedTokens: 0), .finished(completion), .failed(.cancelled),
        ]
        for event in events { encoder.encode(event, into: &lines) }
        #expect(
            text(lines)
                == ["pulling manifest", "fetching", "waiting, place 2 in the line", "success"]
                .map { "{\"status\":\"\($0)\"}\n" }.joined())
        var failing = Ollama.PullEncoder()
        var error: [UInt8] = []
        failing.keepAlive(into: &error)
        failing.encode(.failed(.cancelled), into: &error)
        #expect(text(error) == "{\"status\":\"pulling manifest\"}\n{\"error\":\"The request was cancelled.\"}\n")
    }
}

@Suite struct `Errors about models` {
    @Test(
        arguments: [
            (Ollama.ModelError.unknownModel("x", known: ["m"]), 404, "model_not_found"),
            (.unknownBlob("ab"), 404, "model_not_found"), (.nameTaken("x"), 409, "model_name_taken"),
            (.tooMany(limit: 2), 400, "too_many_models"),
            (.tooLarge(bytes: 2, limit: 1), 400, "string_above_max_length"),
            (.otherTemplate, 400, "unsupported_parameter"), (.unusableFile(reason: "r."), 400, "model_file_refused"),
            (.wrongDigest(expected: "a", actual: "b"), 400, "digest_mismatch"),
            (.blobTooLarge(bytes: 2, limit: 1), 413, "request_too_large"),
            (.diskFull(neededBytes: 2, freeBytes: 1), 507, "disk_full"),
            (.tooManyUploads(limit: 4), 429, "rate_limit_exceeded"),
            (.storeFailed(reason: "r."), 500, "model_storage_failed"),
            (.impossible(what: "It", remedy: "r"), 501, "not_implemented"),
            (.undecided(reason: "r."), 503, "model_not_ready"),
        ] as [(Ollama.ModelError, Int, String)])
    func `each has its row and says what to do`(error: Ollama.ModelError, status: Int, code: String) {
        let report = ErrorReport(error)
        #expect(report.status == status && report.code == code)
        #expect(report.message.hasSuffix("."))
    }
}
