/// Rows of cells as lines, with columns as wide as their widest cell.
struct TextTable {
    let titles: [String]
    var rows: [[String]] = []
    /// Blanks in front of every line.
    var indent = 0

    var lines: [String] {
        let all = ([titles] + rows).map { row in row.map { PrintableText.of($0) } }
        let widths = titles.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.enumerated().map { column, cell in
                // Nothing stands behind the last cell, so it needs no blanks.
                column == titles.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return String(repeating: " ", count: indent) + cells.joined(separator: "  ")
        }
    }
}
