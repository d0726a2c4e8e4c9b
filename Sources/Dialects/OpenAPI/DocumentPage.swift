/// The API's document as one page for people: no script, nothing from elsewhere.
package enum DocumentPage {
    /// The page's bytes; `version` is the server's.
    package static func html(version: String) -> [UInt8] {
        var page = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>Skein API</title><style>
            :root{color-scheme:light dark}
            body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
            code{font-family:ui-monospace,monospace}
            table{border-collapse:collapse;width:100%}
            th,td{text-align:left;vertical-align:top;border-bottom:1px solid #8884;padding:.2rem .6rem .2rem 0}
            summary{cursor:pointer;padding:.3rem 0} pre{overflow:auto;padding:.6rem;background:#8881}
            </style></head><body><h1>Skein API</h1><p>\(escaped(version)). For programs:
            <a href="/openapi.json">openapi.json</a>. Where keys are needed, send one as
            <code>Authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>. A field that is in no table is named
            in the header <code>warnings</code> and has no effect.</p>

            """
        for dialect in ["OpenAI", "Anthropic", "Ollama"] {
            page += "<h2>\(dialect)</h2>\n"
            for route in APIRoute.all where route.dialect.rawValue == dialect { append(route, to: &page) }
        }
        page += "<h2>Errors</h2><table><tr><th>code<th>status<th>Retry-After</tr>\n"
        for code in ErrorCode.allCases {
            let retry = code.row.retry == .never ? "" : "yes"
            page += "<tr><td><code>\(code.rawValue)</code><td>\(code.row.status)<td>\(retry)</tr>\n"
        }
        return Array((page + "</table></body></html>\n").utf8)
    }

    private static func append(_ route: APIRoute, to page: inout String) {
        page +=
            "<details><summary><code>\(route.method) \(escaped(route.path))</code> "
            + "\(escaped(route.summary))</summary>\n"
        if let body = route.body { page += "<pre>\(escaped(body.example))</pre>\n" }
        let rows = RouteFields.all.first { $0.route == route.title }?.fields ?? []
        if !rows.isEmpty || !route.parameters.isEmpty {
            page += "<table><tr><th>field<th>becomes<th>how</tr>\n"
            for parameter in route.parameters {
                page +=
                    "<tr><td><code>\(parameter.name)</code><td>\(parameter.place)<td>\(escaped(parameter.note))</tr>\n"
            }
            for row in rows {
                page += "<tr><td><code>\(escaped(row.name))</code><td>\(row.disposition.rawValue)"
                page += "<td>\(escaped(row.note))</tr>\n"
            }
            page += "</table>\n"
        }
        let statuses = route.errorStatuses.map { String($0.status) }.joined(separator: ", ")
        page += "<p>Errors: \(statuses).</p></details>\n"
    }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
