import Vocabulary

extension Ollama {
    /// The older way to say what a model is made of: instructions, one per line, values in quotes over several.
    struct Modelfile {
        /// Instructions that are known, as an error lists them.
        private static let known = "FROM, PARAMETER, SYSTEM, TEMPLATE, MESSAGE, LICENSE"

        /// What the model is made of; nil when no line says so.
        private(set) var from: String?
        private(set) var system: String?
        private(set) var template: String?
        private(set) var licenses: [String] = []
        private(set) var messages: [ModelVariant.Turn] = []
        /// Values in their order, by name.
        private(set) var parameters: [(name: String, values: [String])] = []

        private let field: String
        private var lines: ArraySlice<Substring>
        private var number = 0

        private init(_ text: String, field: String) {
            self.field = field
            // The two characters of a line's end on other systems are one to Swift.
            lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }[...]
        }

        /// Reads the text.
        ///
        /// **Throws:** `DialectError` with the number of the line.
        static func read(_ text: String, field: String) throws(DialectError) -> Modelfile {
            var file = Modelfile(text, field: field)
            while let line = file.nextLine() {
                let content = line.drop(while: isSpace)
                guard let first = content.first, first != "#" else { continue }
                try file.instruct(content)
            }
            return file
        }

        private static func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" }

        private mutating func nextLine() -> Substring? {
            guard let line = lines.popFirst() else { return nil }
            number += 1
            return line
        }

        private mutating func instruct(_ content: Substring) throws(DialectError) {
            let start = number
            let word = content.prefix { !Self.isSpace($0) }
            var rest = content.dropFirst(word.count).drop(while: Self.isSpace)
            switch word.lowercased() {
            case "from":
                guard from == nil else { throw fault(start, "a second FROM", "one of it") }
                from = try value(rest, word, start)
            case "system": system = try value(rest, word, start)
            case "template": template = try value(rest, word, start)
            case "license":
                guard licenses.count < Limits.licenses else {
                    throw .tooMany(field: field, count: licenses.count + 1, limit: Limits.licenses)
                }
                licenses.append(try value(rest, word, start))
            case "parameter":
                let name = rest.prefix { !Self.isSpace($0) }.lowercased()
                rest = rest.dropFirst(name.count).drop(while: Self.isSpace)
                add(name, try value(rest, "PARAMETER \(name)", start))
            case "message":
                let name = rest.prefix { !Self.isSpace($0) }
                guard let role = Self.role(String(name)) else {
                    throw fault(start, "MESSAGE '\(clipped(String(name)))'", "system, user or assistant and a text")
                }
                rest = rest.dropFirst(name.count).drop(while: Self.isSpace)
                guard messages.count < Limits.variantMessages else {
                    throw .tooMany(field: field, count: messages.count + 1, limit: Limits.variantMessages)
                }
                messages.append(ModelVariant.Turn(role: role, text: try value(rest, "MESSAGE \(name)", start)))
            default: throw fault(start, "'\(clipped(String(word)))'", "one of \(Self.known)")
            }
        }

        static func role(_ name: String) -> Message.Role? {
            [Message.Role.system, .user, .assistant].first { $0.rawValue == name }
        }

        private mutating func add(_ name: String, _ value: String) {
            if let index = parameters.firstIndex(where: { $0.name == name }) {
                parameters[index].values.append(value)
            } else {
                parameters.append((name, [value]))
            }
        }

        /// A value up to the end of the line, in quotes, or in three quotes over several lines.
        private mutating func value(
            _ text: Substring, _ what: some StringProtocol, _ start: Int
        ) throws(DialectError) -> String {
            guard !text.isEmpty else { throw fault(start, "\(what) without a value", "a value behind it") }
            if text.hasPrefix(Self.quotes) { return try quotedLines(text.dropFirst(Self.quotes.count), what, start) }
            var plain = text
            while let last = plain.last, Self.isSpace(last) { plain.removeLast() }
            guard plain.hasPrefix("\"") else { return String(plain) }
            guard plain.count >= 2, plain.hasSuffix("\"") else {
                throw fault(start, "\(what) with an open quote", "a quote that closes it")
            }
            return String(plain.dropFirst().dropLast())
        }

        /// Of more than three quotes the last ones close: those before them are the text's own.
        private static func closes(_ rest: Substring) -> Bool {
            rest.hasPrefix(quotes) && rest.dropFirst(quotes.count).first != "\""
        }

        private static let quotes = "\"\"\""

        private mutating func quotedLines(
            _ opening: Substring, _ what: some StringProtocol, _ start: Int
        ) throws(DialectError) -> String {
            var (body, part) = ("", opening)
            while true {
                if let end = part.indices.first(where: { Self.closes(part[$0...]) }) {
                    guard part[end...].dropFirst(Self.quotes.count).allSatisfy(Self.isSpace) else {
                        throw fault(number, "text behind the closing quotes", "the next instruction on a new line")
                    }
                    return body + part[..<end]
                }
                guard let line = nextLine() else {
                    throw fault(start, "\(what) with open quotes", "three quotes that close it")
                }
                body += part + "\n"
                part = line
            }
        }

        private func fault(_ line: Int, _ what: String, _ expected: String) -> DialectError {
            .invalidValue(field: field, value: "line \(line): \(what)", expected: expected)
        }

        /// The parameters as the object the newer request has.
        var options: JSONNode {
            let members = parameters.map { name, values in
                let nodes = values.map { Self.node($0, isText: name == "stop") }
                let node = nodes.count == 1 && name != "stop" ? nodes[0] : JSONNode(.array(nodes), offset: 0)
                return JSONMember(key: name, value: node)
            }
            return JSONNode(.object(members), offset: 0)
        }

        private static func node(_ text: String, isText: Bool) -> JSONNode {
            if !isText, let read = try? JSONReader.read(Array(text.utf8)), read.number != nil || read.bool != nil {
                return read
            }
            return JSONNode(.string(text), offset: 0)
        }
    }

    /// The text that makes a variant again.
    static func modelfile(of variant: ModelVariant) -> String {
        var lines = ["FROM \(variant.digest.map { "@sha256:\($0)" } ?? variant.base)"]
        if !variant.system.isEmpty { lines.append("SYSTEM \(quoted(variant.system))") }
        for (name, value) in Parameters.lines(variant.parameters) {
            lines.append("PARAMETER \(name) \(unescaped(value))")
        }
        for turn in variant.messages { lines.append("MESSAGE \(turn.role.rawValue) \(quoted(turn.text))") }
        if !variant.license.isEmpty { lines.append("LICENSE \(quoted(variant.license))") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func quoted(_ text: String) -> String { "\"\"\"\(text)\"\"\"" }

    /// A value as a line of a Modelfile has it: texts without JSON's escapes.
    private static func unescaped(_ value: String) -> String {
        guard let text = (try? JSONReader.read(Array(value.utf8)))?.string else { return value }
        return text.contains("\n") || text.contains("\"") ? quoted(text) : "\"\(text)\""
    }
}
