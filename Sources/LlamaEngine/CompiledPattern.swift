import CLlama
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a graph's nodes are asked beside their own members.
enum GraphNode {
    /// Whether the node reads a tensor of that kind.
    static func hasSource(
        _ node: UnsafePointer<ggml_tensor>, where isWanted: (UnsafePointer<ggml_tensor>) -> Bool
    ) -> Bool {
        for index in 0..<Int(GGML_MAX_SRC) {
            let offset = sourcesOffset + index * MemoryLayout<Int>.stride
            let source = unsafe UnsafeRawPointer(node).load(
                fromByteOffset: offset, as: UnsafePointer<ggml_tensor>?.self)
            if let source = unsafe source, unsafe isWanted(source) { return true }
        }
        return false
    }

    /// What a mask has for a cell that a row does not see: negative infinity in f16.
    static let hiddenCell: UInt16 = 0xFC00

    /// Whether a tensor tells of so many rows which cells each sees, and is an input of the graph: what is computed is
    /// not there yet. **Shape:** `[rows, cells]`, f16: 0 where a row sees a cell.
    static func isMask(_ tensor: UnsafePointer<ggml_tensor>, rows: Int) -> Bool {
        unsafe tensor.pointee.op == GGML_OP_NONE && tensor.pointee.type == GGML_TYPE_F16
            && tensor.pointee.ne.1 == rows && ggml_nrows(tensor) == rows
    }

    private static let sourcesOffset = unsafe MemoryLayout<ggml_tensor>.offset(of: \.src) ?? 0
}

/// A `NodePattern` made ready for a comparison per graph node.
@safe struct CompiledPattern {
    private enum Kind {
        case name([UInt8], isPrefix: Bool)
        case operation(ggml_op, source: [UInt8], isPrefix: Bool)
    }

    private let kind: Kind

    init(_ pattern: NodePattern) {
        switch pattern {
        case .named(let name): kind = .name(Array(name.utf8), isPrefix: false)
        case .prefix(let name): kind = .name(Array(name.utf8), isPrefix: true)
        case .operation(let operation, let source):
            let isPrefix = source.hasSuffix("*")
            let name = isPrefix ? String(source.dropLast()) : source
            kind = .operation(Self.code(of: operation), source: Array(name.utf8), isPrefix: isPrefix)
        }
    }

    func matches(_ node: UnsafePointer<ggml_tensor>) -> Bool {
        switch kind {
        case .name(let name, let isPrefix): return unsafe Self.isNamed(node, name, isPrefix)
        case .operation(let operation, let name, let isPrefix):
            guard unsafe node.pointee.op == operation else { return false }
            return unsafe GraphNode.hasSource(node) { source in unsafe Self.isNamed(source, name, isPrefix) }
        }
    }

    private static func isNamed(_ node: UnsafePointer<ggml_tensor>, _ name: [UInt8], _ isPrefix: Bool) -> Bool {
        guard name.count < nameCapacity else { return false }
        let start = unsafe UnsafeRawPointer(node) + nameOffset
        return unsafe name.withUnsafeBytes { wanted in
            guard let base = wanted.baseAddress, unsafe memcmp(start, base, wanted.count) == 0 else { return false }
            return unsafe isPrefix || start.load(fromByteOffset: wanted.count, as: UInt8.self) == 0
        }
    }

    /// The operation of this name, or `GGML_OP_NONE`, which never carries a source.
    private static func code(of name: String) -> ggml_op {
        for raw in 0..<GGML_OP_COUNT.rawValue {
            let operation = ggml_op(rawValue: raw)
            if let text = unsafe ggml_op_name(operation), unsafe String(cString: text) == name { return operation }
        }
        return GGML_OP_NONE
    }

    private static let nameOffset = unsafe MemoryLayout<ggml_tensor>.offset(of: \.name) ?? 0
    private static let nameCapacity = Int(GGML_MAX_NAME)
}
