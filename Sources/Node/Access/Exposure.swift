package import Gateway

/// How a node may be reached and by whom, as its operator said it.
package struct Exposure: Hashable, Sendable {
    /// Whether requests need a key even on loopback.
    package var requiresKey = false
    /// Whether the operator said that nobody needs a key, wherever the node listens.
    package var isOpen = false
    /// More names by which clients without a key may call the node.
    package var hostNames: [String] = []
    /// Origins whose pages may read answers.
    package var corsOrigins: [String] = []

    /// Loopback needs no key, every other address one.
    package init() {}

    /// The policy for a node that listens at `host`.
    ///
    /// **Throws:** `ExposureError` when the node would let in nobody, or everybody without its operator having said so.
    package func policy(host: String, hasValidKey: Bool) throws(ExposureError) -> AccessPolicy {
        guard !(isOpen && requiresKey) else { throw .contradiction }
        for origin in corsOrigins where origin != "*" && !Self.isOrigin(origin) { throw .notAnOrigin(origin) }
        let demandsKey = requiresKey || (!AccessPolicy.isLoopback(host) && !isOpen)
        guard !demandsKey || hasValidKey else {
            throw requiresKey ? .keyDemandedButNone : .openToOthersWithoutKeys(host: host)
        }
        return AccessPolicy(
            demandsKey: demandsKey, hostNames: hostNames + (AccessPolicy.isLoopback(host) ? [] : [host]),
            corsOrigins: corsOrigins)
    }

    /// Scheme, name and port, and nothing behind them, as browsers send it.
    private static func isOrigin(_ text: String) -> Bool {
        guard let scheme = text.firstRange(of: "://"), scheme.lowerBound != text.startIndex else { return false }
        let rest = text[scheme.upperBound...]
        return !rest.isEmpty && !rest.contains("/") && text == text.lowercased()
    }
}

/// Why a node does not start as it is to be reached.
package enum ExposureError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Others could reach the node, there are no keys, and nobody said that none are needed.
    case openToOthersWithoutKeys(host: String)
    /// A key is demanded, but there is none.
    case keyDemandedButNone
    /// Keys are demanded and not needed at the same time.
    case contradiction
    /// What is to be an origin is none.
    case notAnOrigin(String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .openToOthersWithoutKeys(let host):
            "Other machines can reach \(host), but there is no API key that is valid; make one with 'skein key create "
                + "--name NAME', or listen on 127.0.0.1, or say '--no-auth' to let everybody in."
        case .keyDemandedButNone:
            "--require-key is given, but there is no API key that is valid; make one with 'skein key create --name "
                + "NAME'."
        case .contradiction: "--no-auth and --require-key contradict each other; give one of them."
        case .notAnOrigin(let text):
            "--cors-origin is '\(text)'; it takes an origin in small letters without path, such as "
                + "'https://chat.example', or '*'."
        }
    }
}
