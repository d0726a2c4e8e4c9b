import HummingbirdCore

/// A path as the router reads it: its components, whatever slashes stand around and between them.
///
/// What decides by a path MUST read it so: a path that the router takes for another one would pass under the other's
/// rule. The router compares components as they were sent, so no escape is read here either: `/%63luster` is no route.
struct RoutePath: Hashable, Sendable {
    /// The components, none of them empty; the root has none.
    let components: [Substring]

    init(_ path: String) { components = path.split(separator: "/") }

    /// The path of a request's target, which may have a host in front of it and a query behind it.
    init(target: String) { self.init(URI(target).path) }
}
