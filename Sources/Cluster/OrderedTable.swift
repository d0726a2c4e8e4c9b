/// A table in the order of its keys: the same contents are iterated in the same order in every process.
///
/// Lookup is O(log n), insertion and removal O(n) of one move each; tables of the control plane are small or change
/// seldom.
package struct OrderedTable<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    /// A row of the table.
    package struct Element: Sendable {
        /// What the row is found by.
        package let key: Key
        /// What it holds.
        package var value: Value
    }

    private var rows: [Element] = []

    /// An empty table.
    package init() {}

    /// Number of rows.
    package var count: Int { rows.count }
    /// Whether there are none.
    package var isEmpty: Bool { rows.isEmpty }
    /// The rows by ascending key.
    package var elements: [Element] { rows }
    /// The keys, ascending.
    package var keys: [Key] { rows.map(\.key) }
    /// The values by ascending key.
    package var values: [Value] { rows.map(\.value) }

    /// Index of the first row whose key is not below `key`.
    private func position(_ key: Key) -> Int {
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The index of `key`'s row, for repeated access while the table is not changed otherwise.
    package func index(of key: Key) -> Int? {
        let index = position(key)
        return index < rows.count && rows[index].key == key ? index : nil
    }

    /// The row at an index.
    package func element(at index: Int) -> Element { rows[index] }

    /// Changes the value at an index in place.
    package mutating func update(at index: Int, _ change: (inout Value) -> Void) { change(&rows[index].value) }

    /// The value of `key`; setting nil removes the row.
    package subscript(key: Key) -> Value? {
        get { index(of: key).map { rows[$0].value } }
        set {
            let index = position(key)
            let exists = index < rows.count && rows[index].key == key
            switch (newValue, exists) {
            case (let value?, true): rows[index].value = value
            case (let value?, false): rows.insert(Element(key: key, value: value), at: index)
            case (nil, true): rows.remove(at: index)
            case (nil, false): break
            }
        }
    }

    /// Removes the rows for which `isGone` is true.
    package mutating func removeAll(where isGone: (Element) -> Bool) { rows.removeAll(where: isGone) }
}

extension OrderedTable.Element: Equatable where Value: Equatable {}
extension OrderedTable: Equatable where Value: Equatable {}
extension OrderedTable.Element: Hashable where Key: Hashable, Value: Hashable {}
extension OrderedTable: Hashable where Key: Hashable, Value: Hashable {}
