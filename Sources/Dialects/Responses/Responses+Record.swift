extension Responses {
    /// A response as it is kept: what was asked and what was answered, each in the API's own JSON.
    package struct Record: Hashable, Sendable {
        /// Identity of the response.
        package var id: String
        /// The response it continues.
        package var previousID: String?
        /// When it was asked for. **Units:** seconds since 1970.
        package var created: Int64
        /// The request's own input items, a JSON array.
        package var input: [UInt8]
        /// The response object.
        package var body: [UInt8]

        /// Makes a record.
        package init(id: String, previousID: String?, created: Int64, input: [UInt8], body: [UInt8]) {
            self.id = id
            self.previousID = previousID
            self.created = created
            self.input = input
            self.body = body
        }

        /// What it takes to keep. **Units:** bytes.
        package var size: Int { id.utf8.count + input.count + body.count }
    }
}

/// A record taken apart.
extension Responses.Record {
    /// Where the response stands by its own word; nil when the record is damaged.
    package var status: Responses.Status? {
        guard let body = try? JSONReader.read(body, maxBytes: Limits.recordBytes) else { return nil }
        return body["status"]?.string.flatMap(Responses.Status.init)
    }

    /// Whether it was made in the background.
    package var runsInBackground: Bool {
        guard let body = try? JSONReader.read(body, maxBytes: Limits.recordBytes) else { return false }
        return body["background"]?.bool ?? false
    }

    /// The record of an answer that nobody works on any more although it says so: its node stopped in between.
    ///
    /// A record that is over, or damaged, is returned as it is.
    package func closedAsInterrupted() -> Responses.Record {
        guard let node = try? JSONReader.read(body, maxBytes: Limits.recordBytes), let members = node.members,
            let status = node["status"]?.string.flatMap(Responses.Status.init), !status.isOver
        else { return self }
        var writer = JSONWriter(reserving: body.count + 128)
        writer.beginObject()
        for member in members {
            writer.key(member.key)
            switch member.key {
            case "status": writer.string(Responses.Status.failed.rawValue)
            case "error":
                let message = "The node stopped before the answer was complete; send the request again."
                Responses.writeError(code: "server_error", message: message, to: &writer)
            default: writer.node(member.value)
            }
        }
        writer.endObject()
        var closed = self
        closed.body = writer.bytes
        return closed
    }

    /// The items of the conversation this record adds: its input and its output.
    ///
    /// **Throws:** `StateError.damagedRecord`.
    func items() throws(Responses.StateError) -> [Responses.Item] {
        do {
            let asked = try Self.read(input)
            let answered = try Self.read(body)["output"] ?? JSONNode(.array([]), offset: 0)
            var warnings = Warnings()
            let limit = Limits.messages
            let input = try Responses.Item.decode(
                Field(node: asked, path: .body), atMost: limit, warnings: &warnings)
            let output = try Responses.Item.decode(
                Field(node: answered, path: .body), atMost: limit, warnings: &warnings)
            return input + output
        } catch {
            throw .damagedRecord(id: id)
        }
    }

    private static func read(_ bytes: [UInt8]) throws(DialectError) -> JSONNode {
        do {
            return try JSONReader.read(bytes, maxBytes: Limits.recordBytes)
        } catch {
            throw .malformedJSON(error)
        }
    }
}

extension Responses {
    /// Where a response stands.
    package enum Status: String, Hashable, Sendable, CaseIterable {
        /// It waits (background only).
        case queued
        /// It is being made.
        case inProgress = "in_progress"
        /// It is complete.
        case completed
        /// It ended early: the token limit was reached.
        case incomplete
        /// It could not be completed.
        case failed
        /// The client ended it.
        case cancelled

        /// Whether nothing more will come.
        package var isOver: Bool { self != .queued && self != .inProgress }
    }
}
