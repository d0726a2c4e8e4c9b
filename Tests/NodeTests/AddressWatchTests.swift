import Testing

@testable import Node

@Suite struct `The addresses of a machine` {
    @Test func `go into the member's record with the port of the control channel`() {
        let watch = AddressWatch(port: 7535) { ["192.168.1.7", "fd00::7"] }
        #expect(watch.addresses == ["192.168.1.7:7535", "[fd00::7]:7535"])
    }

    @Test(arguments: [[], ["127.0.0.1"], ["::1", "127.0.0.1"]] as [[String]])
    func `are no news while there is no network`(hosts: [String]) {
        #expect(AddressWatch(port: 1) { hosts }.addresses == nil)
    }
}
