/// The rules that the engine library makes of a GBNF text, with its numbers: one for each name, for each group, and for
/// each step of a repetition.
struct GrammarOutline {
    /// What a rule consists of; the library has 8 bytes for each.
    enum Element: Equatable {
        /// A character, an end of a range of them, or a token.
        case terminal
        case rule(Int)
        /// The end of an alternative, the last one's included.
        case end
    }

    /// Letters of a rule's name that are told.
    private static let shownName = 64

    /// Of all rules, one behind another.
    fileprivate(set) var elements: [Element] = []
    /// The elements of each rule; none where a name has no rule.
    fileprivate(set) var rules: [Range<Int>] = []
    /// Where the name stands of the rule in the text that each rule was made of.
    fileprivate var names: [Range<Int>] = []
    fileprivate let text: [UInt8]

    /// The name in the text of what a rule was made of.
    func name(of rule: Int) -> String {
        String(decoding: text[names[rule]].prefix(Self.shownName), as: UTF8.self)
    }
}

/// Reads a GBNF text as the engine library does, rule by rule and in its order, and stops where the library stops. It
/// counts what the library writes out before it does so itself.
struct GrammarReader {
    private var outline: GrammarOutline
    private var numbers: [String: Int] = [:]
    private var position = 0
    private var depth = 0
    private var elementCount = 0
    private var nameBytes = 0
    /// The name of the rule that is read.
    private var name = 0..<0

    /// The last item of a sequence, which a repetition repeats.
    private struct Item {
        /// Its first element in the rule.
        let start: Int
        /// Rules it is made of; the library bounds how many a repetition makes of them.
        var ruleCount = 1
    }

    /// Reads a text.
    ///
    /// **Throws:** `malformed` where the library refuses it, `refused` where a limit is exceeded before.
    static func outline(of text: [UInt8]) throws(GrammarStop) -> GrammarOutline {
        if let position = text.firstIndex(of: 0) { throw .refused(.zeroByte(at: position)) }
        var reader = GrammarReader(outline: GrammarOutline(text: text))
        reader.skipSpace(acrossLines: true)
        while !reader.isAtEnd { try reader.readRule() }
        return reader.outline
    }

    private init(outline: GrammarOutline) {
        self.outline = outline
    }

    // MARK: Letters

    private var isAtEnd: Bool { position >= outline.text.count }

    /// The byte so far ahead; 0 behind the end.
    private func byte(_ offset: Int = 0) -> UInt8 {
        position + offset < outline.text.count ? outline.text[position + offset] : 0
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        isDigit(byte) || byte == UInt8(ascii: "-") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// Blanks and comments.
    private mutating func skipSpace(acrossLines: Bool) {
        while true {
            switch byte() {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): position += 1
            case UInt8(ascii: "\r") where acrossLines, UInt8(ascii: "\n") where acrossLines: position += 1
            case UInt8(ascii: "#"):
                while !isAtEnd, byte() != UInt8(ascii: "\r"), byte() != UInt8(ascii: "\n") { position += 1 }
            default: return
            }
        }
    }

    private mutating func skip(_ expected: UInt8) throws(GrammarStop) {
        guard byte() == expected else { throw .malformed }
        position += 1
    }

    /// The letters that go on with what `belongs`; at least one.
    private mutating func run(_ belongs: (UInt8) -> Bool) throws(GrammarStop) -> Range<Int> {
        let start = position
        while belongs(byte()) { position += 1 }
        guard position > start else { throw .malformed }
        return start..<position
    }

    /// One character of a text or a class.
    private mutating func skipCharacter() throws(GrammarStop) {
        guard !isAtEnd else { throw .malformed }
        guard byte() == UInt8(ascii: "\\") else {
            position += byte() < 0x80 ? 1 : byte() < 0xE0 ? 2 : byte() < 0xF0 ? 3 : 4
            return
        }
        let digits: Int
        switch byte(1) {
        case UInt8(ascii: "x"): digits = 2
        case UInt8(ascii: "u"): digits = 4
        case UInt8(ascii: "U"): digits = 8
        case let escaped where "trn\\\"[]-".utf8.contains(escaped): digits = 0
        default: throw .malformed
        }
        position += 2
        for _ in 0..<digits {
            guard Self.isHexadecimal(byte()) else { throw .malformed }
            position += 1
        }
    }

    // MARK: Rules

    private mutating func readRule() throws(GrammarStop) {
        name = try run(Self.isOfName)
        let number = number(of: name)
        skipSpace(acrossLines: false)
        for letter in "::=".utf8 { try skip(letter) }
        skipSpace(acrossLines: true)
        try readAlternatives(of: number, isNested: false)
        if byte() == UInt8(ascii: "\r") {
            position += byte(1) == UInt8(ascii: "\n") ? 2 : 1
        } else if !isAtEnd {
            try skip(UInt8(ascii: "\n"))
        }
        skipSpace(acrossLines: true)
    }

    /// The number of the rule of a name, a new one at its first mention.
    private mutating func number(of name: Range<Int>) -> Int {
        let letters = String(decoding: outline.text[name], as: UTF8.self)
        if let known = numbers[letters] { return known }
        numbers[letters] = outline.rules.count
        return add(named: name)
    }

    private mutating func add(named name: Range<Int>) -> Int {
        outline.rules.append(0..<0)
        outline.names.append(name)
        return outline.rules.count - 1
    }

    /// Rules for groups and repetitions; answers the first one's number.
    private mutating func make(_ count: Int) throws(GrammarStop) -> Int {
        nameBytes += count * name.count
        guard nameBytes <= GrammarCheck.nameByteLimit else { throw .refused(.longNames) }
        let first = outline.rules.count
        for _ in 0..<count { _ = add(named: name) }
        return first
    }

    private mutating func define(_ number: Int, _ elements: [GrammarOutline.Element]) {
        let start = outline.elements.count
        outline.elements += elements
        outline.rules[number] = start..<outline.elements.count
    }

    private mutating func count(_ elements: Int) throws(GrammarStop) {
        elementCount += elements
        guard elementCount <= GrammarCheck.elementLimit else { throw .refused(.tooManyElements) }
    }

    private mutating func append(
        _ element: GrammarOutline.Element, to rule: inout [GrammarOutline.Element]
    ) throws(GrammarStop) {
        try count(1)
        rule.append(element)
    }

    private mutating func readAlternatives(of number: Int, isNested: Bool) throws(GrammarStop) {
        var rule: [GrammarOutline.Element] = []
        try readSequence(into: &rule, isNested: isNested)
        while byte() == UInt8(ascii: "|") {
            position += 1
            skipSpace(acrossLines: true)
            try append(.end, to: &rule)
            try readSequence(into: &rule, isNested: isNested)
        }
        try append(.end, to: &rule)
        define(number, rule)
    }

    /// Items with their repetitions, up to what is neither.
    private mutating func readSequence(
        into rule: inout [GrammarOutline.Element], isNested: Bool
    ) throws(GrammarStop) {
        var last = Item(start: rule.count)
        while true {
            let item = Item(start: rule.count)
            switch byte() {
            case UInt8(ascii: "\""):
                try readText(into: &rule)
                last = item
            case UInt8(ascii: "["):
                try readClass(into: &rule)
                last = item
            case UInt8(ascii: "<"), UInt8(ascii: "!"):
                try readToken(into: &rule)
                last = item
            case UInt8(ascii: "."):
                position += 1
                try append(.terminal, to: &rule)
                last = item
            case UInt8(ascii: "("):
                let before = outline.rules.count
                try readGroup(into: &rule)
                last = Item(start: item.start, ruleCount: outline.rules.count - before)
            case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"):
                let (least, most) = try readBounds(isNested: isNested)
                try writeOut(&last, least: least, most: most, in: &rule)
            case let letter where Self.isOfName(letter):
                let number = number(of: try run(Self.isOfName))
                try append(.rule(number), to: &rule)
                last = item
            default: return
            }
            skipSpace(acrossLines: isNested)
        }
    }

    private mutating func readText(into rule: inout [GrammarOutline.Element]) throws(GrammarStop) {
        position += 1
        while byte() != UInt8(ascii: "\"") {
            try skipCharacter()
            try append(.terminal, to: &rule)
        }
        position += 1
    }

    private mutating func readClass(into rule: inout [GrammarOutline.Element]) throws(GrammarStop) {
        position += byte(1) == UInt8(ascii: "^") ? 2 : 1
        while byte() != UInt8(ascii: "]") {
            try skipCharacter()
            try append(.terminal, to: &rule)
            guard byte() == UInt8(ascii: "-"), byte(1) != UInt8(ascii: "]") else { continue }
            position += 1
            try skipCharacter()
            try append(.terminal, to: &rule)
        }
        position += 1
    }

    /// `<text>` or `<[number]>`, or one of them behind `!`. Whether the vocabulary has it is the library's to say.
    private mutating func readToken(into rule: inout [GrammarOutline.Element]) throws(GrammarStop) {
        if byte() == UInt8(ascii: "!") { position += 1 }
        try skip(UInt8(ascii: "<"))
        if byte() == UInt8(ascii: "[") {
            position += 1
            _ = try run(Self.isDigit)
            try skip(UInt8(ascii: "]"))
        } else {
            while !isAtEnd, byte() != UInt8(ascii: ">") { position += 1 }
        }
        try skip(UInt8(ascii: ">"))
        try append(.terminal, to: &rule)
    }

    /// A group is a rule of its own.
    private mutating func readGroup(into rule: inout [GrammarOutline.Element]) throws(GrammarStop) {
        depth += 1
        guard depth <= GrammarCheck.depthLimit else { throw .refused(.tooDeep) }
        position += 1
        skipSpace(acrossLines: true)
        let number = try make(1)
        try readAlternatives(of: number, isNested: true)
        try append(.rule(number), to: &rule)
        try skip(UInt8(ascii: ")"))
        depth -= 1
    }

    // MARK: Repetitions

    /// `*`, `+`, `?`, `{m}`, `{m,}` or `{m,n}`; the library takes no bound for a large upper one.
    private mutating func readBounds(isNested: Bool) throws(GrammarStop) -> (least: Int, most: Int?) {
        let mark = byte()
        position += 1
        switch mark {
        case UInt8(ascii: "*"): return (0, nil)
        case UInt8(ascii: "+"): return (1, nil)
        case UInt8(ascii: "?"): return (0, 1)
        default: break
        }
        skipSpace(acrossLines: isNested)
        let least = try readBound()
        guard least <= GrammarCheck.repetitionLimit else { throw .refused(.demandsTooOften) }
        var most: UInt64? = least
        skipSpace(acrossLines: isNested)
        if byte() == UInt8(ascii: ",") {
            position += 1
            skipSpace(acrossLines: isNested)
            most = try Self.isDigit(byte()) ? readBound() : nil
            skipSpace(acrossLines: isNested)
        }
        try skip(UInt8(ascii: "}"))
        guard let most, most <= GrammarCheck.repetitionLimit else { return (Int(least), nil) }
        guard least <= most else { throw .refused(.backwards(least: least, most: most)) }
        return (Int(least), Int(most))
    }

    private mutating func readBound() throws(GrammarStop) -> UInt64 {
        let digits = try run(Self.isDigit)
        guard let bound = UInt64(String(decoding: outline.text[digits], as: UTF8.self)) else {
            throw .refused(.hugeBound)
        }
        return bound
    }

    /// Writes a repetition out: the item as often as it is demanded, then for each time more a rule that is the item
    /// with the rule before, or nothing. Without an upper bound one rule goes on with itself.
    private mutating func writeOut(
        _ item: inout Item, least: Int, most: Int?, in rule: inout [GrammarOutline.Element]
    ) throws(GrammarStop) {
        let part = Array(rule[item.start...])
        guard !part.isEmpty else { throw .malformed }
        let times = most.flatMap { $0 > 0 ? $0 : nil } ?? max(1, least)
        guard item.ruleCount * times <= GrammarCheck.repetitionLimit else { throw .malformed }
        item.ruleCount *= times
        let optional = most.map { $0 - least } ?? 1
        // The copy that the library makes of the item counts as a writing of it, so that not even `{1}` is free.
        try count(part.count * max(1, least) + optional * (part.count + 3) + (most == nil ? 1 : 0))
        if least == 0 { rule.removeLast(part.count) }
        for _ in 0..<max(0, least - 1) { rule += part }
        guard optional > 0 else { return }
        let first = try make(optional)
        for number in first..<first + optional {
            var step = part
            if most == nil {
                step.append(.rule(number))
            } else if number > first {
                step.append(.rule(number - 1))
            }
            define(number, step + [.end, .end])
        }
        rule.append(.rule(first + optional - 1))
    }
}
