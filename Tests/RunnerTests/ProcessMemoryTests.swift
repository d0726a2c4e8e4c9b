import Runner
import Testing

@Suite struct `Memory of a process` {
    @Test func `is read from what Linux says of it`() {
        let status = """
            Name:\tskein
            VmPeak:\t 1318148 kB
            VmRSS:\t  716264 kB
            RssAnon:\t  51200 kB
            RssFile:\t  665064 kB
            """
        #expect(
            ProcessMemory(status: status)
                == ProcessMemory(residentBytes: 716_264 * 1024, anonymousBytes: 51_200 * 1024))
    }

    @Test(arguments: ["", "Name:\tskein\n", "VmRSS:\t12\n", "VmRSS:\t12 pages\n", "VmRSS:\t-1 kB\n"])
    func `is unknown when the system says something else`(status: String) {
        #expect(ProcessMemory(status: status) == nil)
    }

    @Test func `of numbers beyond 64 bits is unknown`() {
        #expect(ProcessMemory(status: "VmRSS:\t18446744073709551615 kB\n") == nil)
    }

    @Test func `of this process is something`() throws {
        #expect(try #require(ProcessMemory.own).residentBytes > 1 << 20)
    }
}
