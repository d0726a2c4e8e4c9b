import Testing
import Vocabulary

@testable import LlamaEngine

extension `The engine` {
    @Suite struct `What heads know of a lane` {
        private let zeros: [Float] = [0, 0]

        /// The hidden row at a position; none is all zeros.
        private func hidden(_ position: Int32) -> [Float] { [Float(position) + 1, -Float(position) - 1] }

        /// Hidden rows of positions, one behind the other.
        private func hidden(_ positions: ClosedRange<Int32>) -> [Float] { positions.flatMap { hidden($0) } }

        /// A row that is to be read.
        private func row(_ token: Token, _ position: Int32, lane: UInt16 = 3) -> StageRow {
            StageRow(lane: Lane(lane), position: position, token: token, samples: false)
        }

        /// The model computes rows of these tokens from a position on, and the heads read along.
        private func compute(_ tokens: [Token], at first: Int32 = 0, _ lane: inout HeadLane) {
            for (offset, token) in tokens.enumerated() {
                let position = first + Int32(offset)
                // The last one is a row that samples, which is none of the heads' business.
                let row = StageRow(
                    lane: Lane(3), position: position, token: token, samples: offset == tokens.count - 1)
                hidden(position).withUnsafeBufferPointer { lane.read(row, hidden: $0) }
            }
        }

        /// A lane whose heads have read along in these tokens from its start.
        private func lane(_ tokens: [Token]) -> HeadLane {
            var lane = HeadLane(Lane(3), width: 2)
            compute(tokens, &lane)
            return lane
        }

        /// What is to be read beside the waiting rows, the lane left as it is.
        private func beside(_ lane: HeadLane) -> [Float] {
            var copy = lane
            return copy.takeWaiting().beside
        }

        // MARK: Reading along

        @Test func `is a prompt's rows, each with the hidden row before it`() {
            var lane = HeadLane(Lane(3), width: 2)
            #expect(lane.end == 0 && lane.waiting.isEmpty)
            compute([7, 8, 9], &lane)
            #expect(lane.known == 0)
            #expect(lane.end == 3)
            #expect(lane.takeLost() == nil)
            let (rows, beside) = lane.takeWaiting()
            #expect(rows == [row(7, 0), row(8, 1), row(9, 2)])
            #expect(beside == zeros + hidden(0...1))
            #expect(lane.known == 3)
            #expect(lane.end == 3)
            #expect(lane.waiting.isEmpty)
            #expect(self.beside(lane).isEmpty)
        }

        @Test func `goes on across chunks, taken or not`() {
            var lane = lane([7, 8])
            compute([9, 10], at: 2, &lane)
            #expect(lane.takeWaiting().rows == [row(7, 0), row(8, 1), row(9, 2), row(10, 3)])
            compute([11, 12], at: 4, &lane)
            #expect(lane.waiting == [row(11, 4), row(12, 5)])
            #expect(beside(lane) == hidden(3...4))
            #expect(lane.known == 4)
            #expect(lane.takeLost() == nil)
        }

        // MARK: Reading ahead

        @Test func `is the sampled token at once, whose own row is then not read again`() {
            var lane = lane([7, 8])
            lane.readAhead(5, at: 2)
            #expect(lane.isReadAhead)
            #expect(lane.end == 3)
            let (rows, beside) = lane.takeWaiting()
            #expect(rows == [row(7, 0), row(8, 1), row(5, 2)])
            #expect(beside == zeros + hidden(0...1))
            compute([5], at: 2, &lane)
            #expect(lane.waiting.isEmpty)
            #expect(lane.end == 3)
            #expect(lane.takeLost() == nil)
            // Its hidden row is known from now on.
            lane.readAhead(6, at: 3)
            #expect(lane.waiting == [row(6, 3)])
            #expect(self.beside(lane) == hidden(2))
            #expect(lane.isReadAhead)
        }

        @Test func `is the guesses of a window that came true, one after the other`() {
            var lane = lane([7])
            lane.readAhead(5, at: 1)
            _ = lane.takeWaiting()
            for (position, token) in [(1, 5), (2, 6), (3, 4)] as [(Int32, Token)] {
                compute([token], at: position, &lane)
                lane.readAhead(token == 5 ? 6 : token == 6 ? 4 : 2, at: position + 1)
            }
            #expect(lane.waiting == [row(6, 2), row(4, 3), row(2, 4)])
            #expect(beside(lane) == hidden(1...3))
            #expect(lane.takeLost() == nil)
            #expect(lane.isReadAhead)
        }

        @Test func `is another token anew where one was read ahead`() {
            var lane = lane([7, 8])
            lane.readAhead(5, at: 2)
            compute([4], at: 2, &lane)
            #expect(lane.waiting == [row(7, 0), row(8, 1), row(4, 2)])
            #expect(beside(lane) == zeros + hidden(0...1))
            #expect(lane.takeLost() == nil)
            #expect(!lane.isReadAhead)
        }

        @Test func `is another token anew, and the cells of the one that was taken are lost`() {
            var lane = lane([7, 8])
            lane.readAhead(5, at: 2)
            _ = lane.takeWaiting()
            compute([4], at: 2, &lane)
            #expect(lane.waiting == [row(4, 2)])
            #expect(beside(lane) == hidden(1))
            #expect(lane.known == 2)
            #expect(lane.end == 3)
            #expect(lane.takeLost() == 2)
            #expect(lane.takeLost() == nil)
            compute([9], at: 3, &lane)
            #expect(lane.waiting == [row(4, 2), row(9, 3)])
            #expect(beside(lane) == hidden(1...2))
        }

        @Test func `tells whether the newest token was read and waits`() {
            var lane = HeadLane(Lane(3), width: 2)
            #expect(!lane.isReadAhead)
            lane.readAhead(5, at: 0)
            #expect(!lane.isReadAhead && lane.waiting.isEmpty)
            compute([7, 8], &lane)
            #expect(!lane.isReadAhead)
            // Not behind the newest row, and no token at all.
            for (token, position) in [(5, 1), (5, 3), (-2, 2)] as [(Token, Int32)] {
                lane.readAhead(token, at: position)
                #expect(!lane.isReadAhead)
                #expect(lane.end == 2)
            }
            lane.readAhead(5, at: 2)
            #expect(lane.isReadAhead)
            var taken = lane
            _ = taken.takeWaiting()
            #expect(!taken.isReadAhead)
            compute([5], at: 2, &lane)
            #expect(!lane.isReadAhead)
        }

        // MARK: Cuts

        @Test(arguments: [false, true], [2, 3] as [Int32])
        func `stays when the lane is cut around the token that was read ahead`(isTaken: Bool, position: Int32) {
            var lane = lane([7, 8])
            lane.readAhead(5, at: 2)
            if isTaken { _ = lane.takeWaiting() }
            lane.trim(from: position)
            #expect(lane.takeLost() == nil)
            #expect(lane.end == 3)
            #expect(lane.isReadAhead == !isTaken)
            #expect(lane.waiting == (isTaken ? [] : [row(7, 0), row(8, 1), row(5, 2)]))
            compute([5], at: 2, &lane)
            #expect(lane.end == 3)
            #expect(lane.takeLost() == nil)
            lane.readAhead(6, at: 3)
            #expect(lane.waiting.last == row(6, 3))
            #expect(beside(lane).suffix(2) == hidden(2)[...])
        }

        @Test func `stays when the lane is cut where it ends`() {
            var lane = lane([7, 8, 9])
            lane.trim(from: 3)
            compute([4], at: 3, &lane)
            #expect(lane.waiting == [row(7, 0), row(8, 1), row(9, 2), row(4, 3)])
            #expect(beside(lane) == zeros + hidden(0...2))
            #expect(lane.takeLost() == nil)
        }

        @Test func `ends where the lane is cut further back`() {
            var waiting = lane([7, 8, 9])
            waiting.readAhead(5, at: 3)
            var taken = waiting
            _ = taken.takeWaiting()

            waiting.trim(from: 1)
            #expect(waiting.waiting == [row(7, 0)])
            #expect(beside(waiting) == zeros)
            #expect(waiting.takeLost() == nil)
            #expect(!waiting.isReadAhead)

            taken.trim(from: 1)
            #expect(taken.known == 1)
            #expect(taken.waiting.isEmpty)
            #expect(taken.takeLost() == 1)
            #expect(taken.takeLost() == nil)
            #expect(!taken.isReadAhead)
        }

        @Test func `ends at the earliest of several cuts`() {
            var lane = lane([7, 8, 9, 10])
            _ = lane.takeWaiting()
            lane.trim(from: 1)
            lane.trim(from: 3)
            #expect(lane.takeLost() == 1)
            lane.trim(from: 0)
            #expect(lane.takeLost() == 0)
            #expect(lane.end == 0)
            // From the start on nothing in front is needed.
            compute([4, 6], &lane)
            #expect(lane.waiting == [row(4, 0), row(6, 1)])
            #expect(beside(lane) == zeros + hidden(0))
        }

        // MARK: Holes

        @Test func `goes on with zeros behind a cut, as the hidden row there is gone`() {
            var lane = lane([7, 8, 9])
            _ = lane.takeWaiting()
            lane.trim(from: 1)
            #expect(lane.takeLost() == 1)
            compute([4, 6], at: 1, &lane)
            #expect(lane.takeLost() == nil)
            #expect(lane.known == 1)
            #expect(lane.waiting == [row(4, 1), row(6, 2)])
            #expect(beside(lane) == zeros + hidden(1))
        }

        @Test(arguments: [false, true])
        func `gives up what lies before a gap`(isTaken: Bool) {
            var lane = lane([7, 8, 9])
            if isTaken { _ = lane.takeWaiting() }
            compute([4], at: 5, &lane)
            // Cells that nobody made cannot be lost.
            #expect(lane.takeLost() == (isTaken ? 0 : nil))
            #expect(lane.known == 5)
            #expect(lane.waiting == [row(4, 5)])
            #expect(beside(lane) == zeros)
            lane.readAhead(6, at: 6)
            #expect(lane.isReadAhead)
            compute([6, 2], at: 6, &lane)
            #expect(lane.waiting == [row(4, 5), row(6, 6), row(2, 7)])
            #expect(beside(lane) == zeros + hidden(5...6))
            #expect(lane.takeLost() == nil)
        }

        @Test func `has a gap where there are rows of an image`() {
            var lane = lane([7, 8])
            compute([-5, -6], at: 2, &lane)
            #expect(lane.waiting == [row(7, 0), row(8, 1)])
            compute([9, 10], at: 4, &lane)
            #expect(lane.known == 4)
            #expect(lane.waiting == [row(9, 4), row(10, 5)])
            // The image's own last row is what stands in front.
            #expect(beside(lane) == hidden(3...4))
            // Nothing of it had been taken.
            #expect(lane.takeLost() == nil)
        }

        // MARK: Copies

        /// A lane of five rows, three of them taken, with one read ahead.
        private var source: HeadLane {
            var lane = lane([7, 8, 9])
            _ = lane.takeWaiting()
            compute([4, 6], at: 3, &lane)
            lane.readAhead(5, at: 5)
            lane.wish = GuessWish(width: 4, floor: 0)
            return lane
        }

        @Test func `is copied with what waits, and goes on in the copy`() {
            var copy = source.beginning(length: 5, in: Lane(1))
            #expect(copy.wish == nil)
            #expect(copy.known == 3)
            #expect(copy.waiting == [row(4, 3, lane: 1), row(6, 4, lane: 1)])
            #expect(beside(copy) == hidden(2...3))
            #expect(!copy.isReadAhead)
            #expect(copy.takeLost() == nil)
            // What was read ahead is not part of it, but what stands in front of it is.
            copy.readAhead(2, at: 5)
            #expect(copy.waiting.last == row(2, 5, lane: 1))
            #expect(beside(copy) == hidden(2...4))
        }

        @Test func `is copied without hidden rows that lie behind the copy's end`() {
            var copy = source.beginning(length: 4, in: Lane(1))
            #expect(copy.known == 3)
            #expect(copy.waiting == [row(4, 3, lane: 1)])
            #expect(beside(copy) == hidden(2))
            // Nothing is read ahead of a row that the copy has not computed.
            copy.readAhead(2, at: 4)
            #expect(copy.end == 4)
            compute([2, 7], at: 4, &copy)
            #expect(copy.waiting == [row(4, 3, lane: 1), row(2, 4, lane: 1), row(7, 5, lane: 1)])
            #expect(beside(copy) == hidden(2) + zeros + hidden(4))
        }

        @Test(arguments: [0, 2, 3] as [Int32])
        func `is copied up to where the copy ends`(length: Int32) {
            var copy = source.beginning(length: length, in: Lane(1))
            #expect(copy.known == length)
            #expect(copy.waiting.isEmpty && beside(copy).isEmpty)
            #expect(copy.takeLost() == nil)
        }
    }
}
