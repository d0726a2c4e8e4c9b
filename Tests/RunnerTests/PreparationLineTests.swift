import Testing

@testable import Runner

@Suite struct `The line of preparations` {
    @Test func `callers take turns, and of one caller's work the oldest is next`() {
        var line = PreparationLine<Int>()
        let work: [(number: Int, caller: String?)] = [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, nil), (6, "b")]
        for (number, caller) in work { line.append(number, of: caller) }
        var order: [Int] = []
        while let next = line.next() { order.append(next) }
        #expect(order == [1, 4, 5, 2, 6, 3])
    }

    @Test func `who comes waits for one piece of work of everybody who waits`() {
        var line = PreparationLine<Int>()
        for number in 1...100 { line.append(number, of: "busy") }
        var order: [Int?] = [line.next(), line.next()]
        line.append(101, of: "other")
        order += [line.next(), line.next(), line.next()]
        #expect(order == [1, 2, 3, 101, 4])
    }

    @Test func `without names the first who comes is the first served`() {
        var line = PreparationLine<Int>()
        for number in 1...5 { line.append(number, of: nil) }
        var order: [Int] = []
        while let next = line.next() { order.append(next) }
        #expect(order == [1, 2, 3, 4, 5])
        let none = line.next()
        #expect(none == nil)
    }

    @Test func `who is refused is told when all that waits is expected to be done`() {
        var line = PreparationLine<Int>()
        for number in 1...4 { line.append(number, of: "a") }
        #expect(line.retryAfterSeconds == 1)
        // What has begun counts until it is done; of what nobody wanted, its time does not.
        let steps: [(took: Duration?, retryAfterSeconds: Int)] = [
            (.seconds(10), 30), (.seconds(14), 22), (nil, 11), (.zero, 1),
        ]
        for step in steps {
            _ = line.next()
            line.finish(took: step.took)
            #expect(line.retryAfterSeconds == step.retryAfterSeconds)
        }
        // The average is 8.25 s by now.
        line.append(5, of: "a")
        #expect(line.retryAfterSeconds == 9)
        for number in 6...12 { line.append(number, of: "b") }
        #expect(line.retryAfterSeconds == 60)
    }
}
