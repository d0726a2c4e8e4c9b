import Cluster
import Testing

@Suite struct `Ordered tables` {
    @Test func `iterate by key whatever the order of insertion`() {
        var table = OrderedTable<Int, String>()
        for key in [5, 1, 9, 3] { table[key] = "\(key)" }
        table[9] = nil
        table[3] = "three"
        #expect(table.keys == [1, 3, 5])
        #expect(table.values == ["1", "three", "5"])
        #expect(table[9] == nil)
    }
}
