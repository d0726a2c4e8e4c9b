package import Vocabulary

/// What `skein bench serve` is told to do.
package struct ServeSettings: Sendable {
    /// Requests at once, one round after the other.
    package var streams = [1, 2, 4, 16]
    /// Compute threads of each server; nil is all cores.
    package var threads: Int?
    /// Stages of Skein's model; its threads are spread over them.
    package var stages = 1
    /// Tokens of each prompt.
    package var promptTokens = 64
    /// Tokens of each answer.
    package var decodeTokens = 64
    /// Type of both caches.
    package var cacheType = CacheFormat.f16
    /// Tokens of a prompt that arrives beside the streams; nil measures throughput instead.
    package var longPrompt: Int?
    /// Tokens of ended conversations that stay in the cache; a server without any is measured beside it then.
    package var keptTokens: Int?

    /// Settings of a plain run.
    package init() {}

    /// Tokens the long prompt leaves room for beside itself: the others answer until it is read.
    static let longAnswerRoom = 512

    /// Tokens a request may take at most: what it needs, in the steps of 256 that llama-server rounds up to.
    var slotTokens: Int {
        let needed = longPrompt.map { $0 + Self.longAnswerRoom } ?? promptTokens + decodeTokens + 1
        return (needed + 255) / 256 * 256
    }

    /// Tokens of each conversation that stays, the last one excepted.
    private static let conversation = 4096

    /// How long the conversations are that stay.
    var keptConversations: [Int] {
        guard let keptTokens else { return [] }
        let (whole, rest) = keptTokens.quotientAndRemainder(dividingBy: Self.conversation)
        return Array(repeating: Self.conversation, count: whole) + (rest > 0 ? [rest] : [])
    }

    /// Throws when a number is outside its limits, or what is asked for does not go together.
    ///
    /// **Throws:** `DeploymentError.setting`.
    package func check(besidePeer: Bool = false) throws(DeploymentError) {
        guard !streams.isEmpty else {
            throw .setting(name: "--streams", value: "empty", limit: "name one count or more")
        }
        for count in streams { try Self.check("--streams", count, BenchLimits.streams) }
        try Self.check("--prompt-tokens", promptTokens, BenchLimits.promptTokens)
        try Self.check("--decode", decodeTokens, BenchLimits.decodeTokens)
        if let longPrompt { try Self.check("--long-prompt", longPrompt, BenchLimits.promptTokens) }
        if let keptTokens {
            try Self.check("--kept-tokens", keptTokens, BenchLimits.promptTokens)
            for (isGiven, name) in [(longPrompt != nil, "--long-prompt"), (besidePeer, "--peer")] where isGiven {
                throw .setting(name: "--kept-tokens", value: "\(keptTokens)", limit: "not together with \(name)")
            }
        }
        if let threads { try Self.check("--threads", threads, 1...1024) }
        try Self.check("--stages", stages, BenchLimits.stages)
    }

    private static func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(DeploymentError) {
        guard range.contains(value) else {
            throw .setting(
                name: name, value: "\(value)", limit: "\(range.lowerBound) … \(range.upperBound) are allowed")
        }
    }
}
