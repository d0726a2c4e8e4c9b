import Dialects

/// Events as lines: what is at first, then what changes.
struct WatchText {
    let isJSON: Bool
    private var cluster: SeenCluster?

    init(isJSON: Bool) { self.isJSON = isJSON }

    /// The lines an event is worth.
    ///
    /// **Throws:** what the event lacks.
    mutating func lines(_ event: ServerEvent) throws(MissingField) -> [String] {
        guard let data = try? JSONReader.read(Array(event.data.utf8)) else { throw MissingField(name: event.name) }
        guard !isJSON else { return [json(event)] }
        if event.name == "state" {
            let state = try SeenCluster(data)
            cluster = state
            return ClusterText.status(state)
        }
        guard var known = cluster else { return [] }
        let lines = try known.take(event.name, data)
        cluster = known
        return lines.map { PrintableText.of($0) }
    }

    private func json(_ event: ServerEvent) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("event")
        writer.string(event.name)
        writer.key("id")
        writer.string(orNull: event.id)
        writer.key("data")
        writer.raw(event.data)
        writer.endObject()
        return writer.text
    }
}
