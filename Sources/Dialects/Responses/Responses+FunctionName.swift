extension Responses {
    /// The name of a function as clients know it: alone, or in a namespace, whose names are its own.
    struct FunctionName: Hashable, Sendable {
        var name: String
        var namespace: String?

        /// What the model calls it. Models know no namespaces, and two of them may have a function of the same name.
        var offered: String {
            guard let namespace else { return name }
            // Clients that name a namespace after a server write the separator themselves.
            return namespace.hasSuffix("__") ? namespace + name : "\(namespace)__\(name)"
        }

        /// Appends the members of a call that say whose call it is.
        func write(to writer: inout JSONWriter) {
            writer.key("name")
            writer.string(name)
            guard let namespace else { return }
            writer.key("namespace")
            writer.string(namespace)
        }
    }
}
