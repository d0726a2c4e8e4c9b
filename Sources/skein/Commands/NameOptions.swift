import ArgumentParser
import Vocabulary

/// What else a model is called, and where it comes from.
struct NameOptions: ParsableArguments {
    @Option(
        name: .customLong("alias"), parsing: .singleValue,
        help: ArgumentHelp("Another name clients may use. May be repeated.", valueName: "name"))
    var aliases: [String] = []

    @Option(
        name: .customLong("source"), parsing: .singleValue,
        help: ArgumentHelp(
            "Where the file comes from, beside what it says itself: clients may name it so. May be repeated.",
            valueName: "org/repo[@revision][:quantisation]"))
    var sources: [String] = []

    func validate() throws {
        for (option, count, limit) in [
            ("--alias", aliases.count, ModelReference.aliasLimit), ("--source", sources.count, ModelSource.countLimit),
        ] where count > limit {
            throw ValidationError("\(option) is given \(count) times; at most \(limit) are kept.")
        }
        do throws(ModelNameError) {
            for alias in aliases { try ModelReference.check(newName: alias) }
            for source in sources { _ = try ModelSource(source) }
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// The sources, all of which have been found sound.
    var origins: [ModelSource] { sources.compactMap { try? ModelSource($0) } }
}
