import Gateway
import Testing
import Vocabulary

@Suite struct `The arrival of a request` {
    @Test func `what passed before it counts, and its error comes when the time is up`() {
        var request = GenerationRequest(id: RequestID(1), model: "tiny", prompt: .text("x"))
        request.elapsedSeconds = 4
        let patient = Arrival(of: request)
        #expect(patient.end == nil && patient.overdue == nil && patient.elapsedSeconds >= 4)
        request.timeoutSeconds = 3600
        let early = Arrival(of: request)
        #expect(early.overdue == nil)
        request.timeoutSeconds = 3
        let late = Arrival(of: request)
        #expect(late.overdue == .deadlineExceeded(seconds: 3))
        let ends = [early.end, late.end].compactMap { $0 }
        #expect(ends.count == 2 && ends[1] < ends[0])
        // All of its time is up at once.
        #expect(Arrival(timeout: 0).overdue == .deadlineExceeded(seconds: 0))
    }
}
