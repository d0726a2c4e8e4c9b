extension FamilyRules {
    /// The rules of a family; the trivial ones for families that are not in the table.
    package static func rules(for architecture: String) -> FamilyRules { table[architecture] ?? FamilyRules() }

    /// Families that need more than the trivial rules.
    static let table: [String: FamilyRules] = [:]
}
