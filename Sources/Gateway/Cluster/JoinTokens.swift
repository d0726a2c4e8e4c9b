package import Cluster

/// A join token as a client asks for it. The implementing side checks the numbers against its own bounds.
package struct TokenWish: Hashable, Sendable {
    /// How many machines may join with it.
    package var uses: Int
    /// How long it lives. **Units:** seconds.
    package var lifeSeconds: Int64
    /// Whether it is for workers, which never vote and get no copy of the cluster's key.
    package var isForWorkers: Bool

    /// Asks for a token; without values for one machine within a day.
    package init(uses: Int = 1, lifeSeconds: Int64 = 86_400, isForWorkers: Bool = false) {
        self.uses = uses
        self.lifeSeconds = lifeSeconds
        self.isForWorkers = isForWorkers
    }
}

/// A join token as it may be shown: without its secret.
package struct TokenView: Hashable, Sendable {
    /// What a token is good for.
    package enum State: String, Sendable, CaseIterable {
        /// It lets machines in.
        case valid
        /// Its life is over.
        case expired
        /// As many machines as may have joined with it.
        case usedUp = "used_up"
        /// It was taken back.
        case revoked
    }

    /// Its public name.
    package var id: String
    /// What it is good for now.
    package var state: State
    /// How many machines may join with it.
    package var uses: Int
    /// How many still may.
    package var usesLeft: Int
    /// Whether it is for workers.
    package var isForWorkers: Bool
    /// When it was made. **Units:** seconds since 1970.
    package var created: Int64
    /// When it ends. **Units:** seconds since 1970.
    package var expires: Int64

    /// Puts a view together.
    package init(
        id: String, state: State, uses: Int, usesLeft: Int, isForWorkers: Bool, created: Int64, expires: Int64
    ) {
        self.id = id
        self.state = state
        self.uses = uses
        self.usesLeft = usesLeft
        self.isForWorkers = isForWorkers
        self.created = created
        self.expires = expires
    }
}

/// A token that was just made, with the one line that holds its secret. The line MUST NOT be kept or logged.
package struct CreatedToken: Hashable, Sendable {
    /// What may be shown later, too.
    package var token: TokenView
    /// What to run on the machine that joins: `skein join skein1:…`.
    package var line: String

    /// Puts both together.
    package init(token: TokenView, line: String) {
        self.token = token
        self.line = line
    }
}

/// Why a join token is not made, listed or taken back. Each text is a sentence with the numbers and the next step.
package enum TokenRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// A value is out of its bounds.
    case invalid(String)
    /// There is no such token.
    case notFound(String)
    /// There are as many as there may be.
    case full(String)
    /// It contradicts what is.
    case conflict(String)
    /// This node cannot say or decide it now.
    case unavailable(String)
    /// The cluster did not take the command.
    case command(CommandRefusal)

    /// The sentence.
    package var description: String {
        switch self {
        case .invalid(let text), .notFound(let text), .full(let text), .conflict(let text), .unavailable(let text):
            text
        case .command(let refusal): refusal.description
        }
    }
}
