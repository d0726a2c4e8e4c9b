import ArgumentParser

/// Whole numbers separated by commas, as in `8,16`. Anything else is refused, an empty number too.
struct NumberList: Hashable, Sendable, ExpressibleByArgument {
    let numbers: [Int]

    /// Nil when one is no whole number.
    init?(argument: String) {
        var numbers: [Int] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let number = Int(part) else { return nil }
            numbers.append(number)
        }
        self.numbers = numbers
    }

    /// A list that is known.
    init(_ numbers: [Int]) { self.numbers = numbers }

    var defaultValueDescription: String { numbers.map { "\($0)" }.joined(separator: ",") }
}
