extension Responses {
    /// What `GET /v1/responses/{id}/input_items` asks for.
    package struct Page: Hashable, Sendable {
        /// The item the page starts behind.
        var after: String?
        var limit = 20
        var isDescending = true

        /// Reads the query's parameters.
        ///
        /// **Throws:** `DialectError` naming the parameter and what it takes.
        package static func decode(_ query: [(name: String, value: String)]) throws(DialectError) -> Page {
            var page = Page()
            for (name, value) in query {
                switch name {
                case "after": page.after = value
                case "limit":
                    guard let limit = Int(value), (1...Limits.pageItems).contains(limit) else {
                        throw .invalidValue(
                            field: name, value: "'\(clipped(value))'", expected: "1 … \(Limits.pageItems)")
                    }
                    page.limit = limit
                case "order":
                    guard value == "asc" || value == "desc" else {
                        throw .invalidValue(
                            field: name, value: "'\(clipped(value))'", expected: "one of: 'asc', 'desc'")
                    }
                    page.isDescending = value == "desc"
                case "include", "include[]": break
                default: throw .unsupportedField(field: clipped(name), remedy: "leave it out")
                }
            }
            return page
        }

        /// The body of the answer: the page's part of a record's own input items.
        ///
        /// **Throws:** `StateError.damagedRecord`; `itemNotFound` for an `after` that is no item.
        package func body(of record: Record) throws(StateError) -> [UInt8] {
            guard let node = try? JSONReader.read(record.input, maxBytes: Limits.recordBytes), let all = node.array
            else { throw .damagedRecord(id: record.id) }
            var items = isDescending ? all.reversed() : all
            if let after {
                guard let place = items.firstIndex(where: { $0["id"]?.string == after }) else {
                    throw .itemNotFound(field: "after", id: after)
                }
                items.removeFirst(place + 1)
            }
            let shown = items.prefix(limit)
            var writer = JSONWriter(reserving: record.input.count + 128)
            writer.beginObject()
            writer.key("object")
            writer.string("list")
            writer.key("data")
            writer.beginArray()
            for item in shown { writer.node(item) }
            writer.endArray()
            for (key, item) in [("first_id", shown.first), ("last_id", shown.last)] {
                writer.key(key)
                // The SDKs' types demand a text.
                writer.string(item?["id"]?.string ?? "")
            }
            writer.key("has_more")
            writer.bool(items.count > shown.count)
            writer.endObject()
            return writer.bytes
        }
    }

    /// What `GET /v1/responses/{id}` asks for.
    package struct Retrieval: Hashable, Sendable {
        /// Send the events instead of the object.
        package var stream = false
        /// With `stream`: send only events behind this number.
        package var startingAfter: Int?

        /// Reads the query's parameters.
        ///
        /// **Throws:** `DialectError` naming the parameter and what it takes.
        package static func decode(_ query: [(name: String, value: String)]) throws(DialectError) -> Retrieval {
            var retrieval = Retrieval()
            for (name, value) in query {
                switch name {
                case "stream":
                    guard value == "true" || value == "false" else {
                        throw .invalidValue(
                            field: name, value: "'\(clipped(value))'", expected: "one of: 'true', 'false'")
                    }
                    retrieval.stream = value == "true"
                case "starting_after":
                    guard let number = Int(value), number >= 0 else {
                        throw .invalidValue(field: name, value: "'\(clipped(value))'", expected: "an integer from 0")
                    }
                    retrieval.startingAfter = number
                case "include", "include[]", "include_obfuscation": break
                default: throw .unsupportedField(field: clipped(name), remedy: "leave it out")
                }
            }
            if retrieval.startingAfter != nil, !retrieval.stream {
                throw .conflict(field: "starting_after", reason: "it is only allowed when 'stream' is true")
            }
            return retrieval
        }
    }

    /// The body of the answer to `DELETE /v1/responses/{id}`.
    package static func deletionBody(id: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("id")
        writer.string(id)
        writer.key("object")
        writer.string("response")
        writer.key("deleted")
        writer.bool(true)
        writer.endObject()
        return writer.bytes
    }
}
