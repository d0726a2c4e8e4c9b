/// Join tokens as lines for people.
enum TokenText {
    /// **Units:** `now` in seconds since 1970.
    static func list(_ tokens: [SeenToken], now: Int64) -> [String] {
        guard !tokens.isEmpty else { return ["There are no join tokens; make one with 'skein token create'."] }
        let rows = tokens.map { token in
            [
                token.id, token.state == "used_up" ? "used up" : token.state, "\(token.usesLeft) of \(token.uses)",
                token.isForWorkers ? "workers" : "members",
                token.state == "valid" ? left(until: token.expires, now: now) : "-",
            ]
        }
        return TextTable(titles: ["ID", "STATE", "USES LEFT", "FOR", "ENDS IN"], rows: rows).lines
    }

    /// What to know about a line that was just printed.
    static func created(id: String, uses: UInt64, isForWorkers: Bool, expires: Int64, now: Int64) -> String {
        let who =
            uses == 1
            ? "one \(isForWorkers ? "worker" : "machine")" : "\(uses) \(isForWorkers ? "workers" : "machines")"
        return PrintableText.of(
            "run this line on \(who) within \(left(until: expires, now: now)); whoever has it can join, so keep it to "
                + "yourself ('skein token revoke \(id)' takes it back)")
    }

    /// In the largest unit that has at least two, so that nothing is rounded much.
    private static func left(until end: Int64, now: Int64) -> String {
        let (difference, overflows) = end.subtractingReportingOverflow(now)
        let seconds = overflows ? 0 : max(0, difference)
        for (unit, size) in [("d", Int64(86_400)), ("h", 3600), ("min", 60)] where seconds >= 2 * size {
            return "\(seconds / size + (seconds % size * 2 >= size ? 1 : 0)) \(unit)"
        }
        return "\(seconds) s"
    }
}
