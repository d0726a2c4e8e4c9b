import Testing
import Vocabulary
import Wire

@Suite struct `Golden frames` {
    @Test func `every kind has a golden frame`() {
        #expect(GoldenFrames.all.map(\.kind) == FrameKind.allCases)
    }

    @Test(arguments: GoldenFrames.all.indices)
    func `the bytes of a frame never change`(index: Int) throws {
        let golden = GoldenFrames.all[index]
        let bytes = try FrameBytes.write(golden.write)
        #expect(FrameBytes.hex(bytes) == FrameBytes.hex(golden.bytes), "\(golden.kind)")
    }
}
