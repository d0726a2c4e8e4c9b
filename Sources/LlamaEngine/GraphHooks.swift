import CLlama
import Vocabulary

/// Runs a stage's recipe inside llama.cpp's evaluation callback: puts the incoming rows in, sets constants right, takes
/// the residual out, and stops the graph there so that the output norm and the head are never computed. What attention
/// sees and what goes through the layers bit by bit is changed there, too.
///
/// The library asks for every node before it computes it, then calls again with the data of the nodes it was told of.
/// **Isolation:** the compute thread.
@safe final class GraphHooks {
    private let inject: CompiledPattern?
    private let capture: CompiledPattern?
    /// What the head would read: the rows of the last layer behind the output norm.
    private let vectors: CompiledPattern?
    private var takesVectors = false
    private let patches: [(pattern: CompiledPattern, factor: Float, isInput: Bool)]
    private var source: UnsafeRawPointer?
    private var sourceCount = 0
    private var destination: UnsafeMutableRawPointer?
    private var capacity = 0
    private var hasStopped = false
    /// What attention sees of the cells.
    let window = CellWindow()
    /// Attention that the library does not compute.
    let attention = RowAttention()
    /// Rows that this decode computes for some layers only; nil for all others.
    var layered: LayeredRows?
    /// Whether graphs are left at the first node of each split: rows are given cells and nothing else.
    var stopsAtOnce = false
    /// Bytes taken out since `begin`.
    private(set) var taken = 0
    /// Bytes put in since `begin`.
    private(set) var given = 0

    /// Nil when the recipe needs no callback, which is the fastest way to run a graph.
    ///
    /// With `takesVectors` a decode may take the rows in front of the head instead of what comes behind it.
    init?(_ recipe: StageRecipe, takesVectors: Bool) {
        if case .inject(let node, _) = recipe.feed { inject = CompiledPattern(node) } else { inject = nil }
        capture = recipe.capture.map(CompiledPattern.init)
        patches = recipe.patches.map { (CompiledPattern($0.node), $0.factor, $0.isInput) }
        vectors = takesVectors ? CompiledPattern(Self.vectorNode) : nil
        if inject == nil, capture == nil, vectors == nil, patches.isEmpty { return nil }
    }

    /// The name families give the rows that the head reads.
    static let vectorNode = NodePattern.named("result_norm")

    /// Prepares one decode: `rows` go in where the recipe injects, the residual goes to `residual`; so do the rows in
    /// front of the head, when the decode is for those.
    func begin(
        rows: UnsafeRawBufferPointer, residual: UnsafeMutableRawBufferPointer, takesVectors: Bool = false
    ) {
        self.takesVectors = takesVectors
        unsafe source = rows.baseAddress
        sourceCount = rows.count
        unsafe destination = residual.baseAddress
        capacity = residual.count
        taken = 0
        given = 0
        hasStopped = false
    }

    /// Ends a decode; the buffers of `begin` are not touched any more.
    func end() {
        unsafe source = nil
        unsafe destination = nil
    }

    /// The evaluation callback. Asked, it answers whether it wants the node's data; told, whether the graph goes on.
    func visit(_ node: UnsafeMutablePointer<ggml_tensor>, asks: Bool) -> Bool {
        // Of a graph in several splits each is left by itself.
        guard !stopsAtOnce else { return asks }
        // Later splits of a graph that was stopped are still offered.
        guard !hasStopped else { return false }
        guard asks else {
            if let layered, unsafe layered.isBoundary(node) { return unsafe layered.computed(node) }
            return unsafe take(node)
        }
        if let layered {
            let isWanted = unsafe layered.meet(node)
            // The rows' mask has been exchanged by now.
            unsafe meetAttention(node)
            if isWanted || layered.isOver { return isWanted }
        } else {
            unsafe meetAttention(node)
        }
        for patch in patches where unsafe patch.pattern.matches(node) {
            // An input is computed after this: nothing between it and the node has been asked for.
            guard let target = unsafe patch.isInput ? node.pointee.src.0 : node else { continue }
            // Views carry the name of what they show, and keep other things where a factor would be.
            guard unsafe target.pointee.op == GGML_OP_SCALE else { continue }
            unsafe UnsafeMutableRawPointer(target).storeBytes(
                of: patch.factor, toByteOffset: Self.parametersOffset, as: Float.self)
        }
        // Rows that go on are past where they came in, and those that stop before its end do not leave.
        if let inject, layered?.isFirst ?? true, unsafe inject.matches(node) { return true }
        return unsafe (layered?.isLast ?? true) && leaving?.matches(node) ?? false
    }

    private func meetAttention(_ node: UnsafeMutablePointer<ggml_tensor>) {
        if unsafe !attention.take(node) { unsafe window.meet(node) }
    }

    /// The node at which this decode's graph ends; nil when it runs to its end.
    private var leaving: CompiledPattern? { takesVectors ? vectors : capture }

    private func take(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        let count = unsafe ggml_nbytes(node)
        guard unsafe node.pointee.type == GGML_TYPE_F32, unsafe ggml_is_contiguous(node) else {
            hasStopped = true
            return false
        }
        if let inject, layered?.isFirst ?? true, unsafe inject.matches(node) {
            if let source = unsafe source, given + count <= sourceCount {
                unsafe ggml_backend_tensor_set(node, source + given, 0, count)
                given += count
            }
            // The captured node may be the injected one, in a stage that computes nothing in between.
            guard let leaving, unsafe leaving.matches(node) else { return true }
        }
        if let destination = unsafe destination, taken + count <= capacity {
            unsafe ggml_backend_tensor_get(node, destination + taken, 0, count)
            taken += count
        }
        hasStopped = true
        return false
    }

    private static let parametersOffset = unsafe MemoryLayout<ggml_tensor>.offset(of: \.op_params) ?? 0
}
