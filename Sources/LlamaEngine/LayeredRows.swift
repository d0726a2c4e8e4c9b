import CLlama
import Serving
import Vocabulary

/// Rows of a prompt that go through the layers of a stage a few layers at a time, so that other rows' steps have their
/// turn in between.
///
/// The library runs a graph to its end or not at all, and gives rows new cells each time. So the rows are decoded anew
/// for every part, and the evaluation callback makes a part of it: what comes before the part's first layer is turned
/// into operations that do nothing, the residual of the part before is put in, and the graph is left behind the part's
/// last layer. Keys and values go to the cells of the first part, whatever cells the rows were given; those are given
/// back behind every part. docs/decisions/0022-layered-prefill.md has the whole story.
///
/// **Isolation:** the compute thread.
@safe final class LayeredRows {
    /// What became of the last part.
    enum Progress {
        /// Layers are left.
        case paused
        /// All rows are through all layers; the library has the logits.
        case finished
        /// The graph is not as it has to be.
        case broken(reason: String)
    }

    /// The rows; all of one lane.
    let rows: [StageRow]
    /// Layers the rows are through.
    private(set) var layersDone = 0
    private let layerOutput: String
    private let layerCount: Int
    /// Whether the rows leave the stage as a residual, which the library only computes for rows that are flagged.
    private let leavesResidual: Bool
    /// Rows of the residual behind the layers that are done. **Shape:** `[rows, width]`.
    private var residual: [Float]
    /// The rows' cells, from the first part on.
    private var cells: [Int64] = []

    /// What a layer took in the last part; nil before any part.
    private var layerTime: Duration?

    // The part under way.
    /// Whether the part goes on to the last layer when nothing lasts longer than expected.
    private(set) var isLast = true
    /// Whether the part is the first one, in which the rows enter.
    private(set) var isFirst = true
    private var wished: Duration = .zero
    private var began = ContinuousClock.now
    /// When its first layer was entered; of the first part, when it began.
    private var started = ContinuousClock.now
    /// What it took to get there, latest.
    private var entering: Duration = .zero
    private var layers = 0
    private var isGoingOn = false
    private var hasStopped = false
    private var problem: String?
    /// The cells the library gave the rows this time.
    private var givenCells: [Int64] = []
    /// Inputs of the graph that were looked at, by address.
    private var handled: Set<UInt> = []
    private var hasMask = false
    /// Nodes that depend on the rows' tokens, by address.
    private var derived: Set<UInt> = []
    private var silenced: [Silenced] = []
    private var boundary: CompiledPattern

    /// A node and what it does.
    @safe private struct Silenced {
        let node: UnsafeMutablePointer<ggml_tensor>
        let operation: ggml_op
    }

    /// Rows that come in are named like what becomes of tokens, which is no input.
    private static let inputs = ["inp_tokens", "inp_embd", "embd"].map { CompiledPattern(.named($0)) }

    /// Rows that are through no layer yet.
    init(_ rows: [StageRow], width: Int, layerCount: Int, layerOutput: String, leavesResidual: Bool) {
        self.rows = rows
        self.leavesResidual = leavesResidual
        self.layerCount = layerCount
        self.layerOutput = layerOutput
        residual = [Float](repeating: 0, count: rows.count * width)
        boundary = CompiledPattern(.named("\(layerOutput)-0"))
    }

    /// Prepares a part that takes no longer than this, as far as layers take equally long, and one layer at least.
    func begin(for duration: Duration) {
        wished = duration
        began = .now
        started = began
        layers = 0
        isFirst = layersDone == 0
        isGoingOn = !isFirst
        isLast = !leavesResidual || canEnd(within: duration)
        hasStopped = false
        problem = nil
        givenCells = []
        handled = []
        hasMask = false
        derived = []
        aim(at: isGoingOn ? layersDone - 1 : 0)
    }

    /// Rows that are flagged make the library copy logits nobody reads, so they are in the part that needs them only.
    private func canEnd(within duration: Duration) -> Bool {
        let layersLeft = layerCount - layersDone
        guard layersLeft > 1 else { return true }
        guard let layerTime else { return false }
        return entering + layerTime * layersLeft <= duration
    }

    /// Ends a part, when the library has come back: gives the graph's nodes back what they do.
    func end() -> Progress {
        for one in silenced { unsafe one.node.pointee.op = one.operation }
        silenced.removeAll(keepingCapacity: true)
        if let problem { return .broken(reason: problem) }
        if isGoingOn { return .broken(reason: "it has no node \(layerOutput)-\(layersDone - 1)") }
        if hasStopped { return .paused }
        guard isLast else { return .broken(reason: "it cannot be left before the last layer") }
        layersDone = layerCount
        return .finished
    }

    // MARK: The callback

    /// Whether what comes of the graph from here on is of no use.
    var isOver: Bool { hasStopped || problem != nil }

    /// Whether the node is the one that the part stops at or goes on from.
    func isBoundary(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        // Behind the last layer the rows leave the stage.
        unsafe (isGoingOn || layersDone < layerCount - 1) && boundary.matches(node)
    }

    /// A node is going to be computed; answers whether its data is wanted.
    func meet(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        guard !isOver else {
            // What lies behind the end of the part must not run on what is left in the buffers.
            unsafe silence(node)
            return false
        }
        unsafe exchange(node)
        let isDerived = unsafe isDerived(node)
        if isDerived { derived.insert(UInt(bitPattern: node)) }
        if isGoingOn, isDerived { unsafe silence(node) }
        guard unsafe boundary.matches(node) else { return false }
        if isGoingOn { return true }
        return unsafe isDerived && canStop(at: node)
    }

    /// A node that was wanted has been computed; answers whether the graph goes on.
    func computed(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        guard unsafe fits(node) else {
            problem = "\(layerOutput)-\(layersDone) does not hold a row of floats for each row"
            hasStopped = true
            return false
        }
        if isGoingOn {
            guard hasMask, givenCells.count == rows.count else {
                problem = "its cells or its mask were not found"
                hasStopped = true
                return false
            }
            unsafe residual.withUnsafeBytes { unsafe ggml_backend_tensor_set(node, $0.baseAddress, 0, $0.count) }
            isGoingOn = false
            started = .now
            entering = started - began
            aim(at: layersDone)
            return true
        }
        layersDone += 1
        layers += 1
        let now = ContinuousClock.now
        let layerTime = (now - started) / layers
        self.layerTime = layerTime
        let mustStop = !isLast && layersDone == layerCount - 1
        // What it took to get to the first layer is time that others wait, too.
        if !mustStop, (now - began) + layerTime <= wished || isLast && leavesResidual {
            aim(at: layersDone)
            return true
        }
        unsafe residual.withUnsafeMutableBytes { unsafe ggml_backend_tensor_get(node, $0.baseAddress, 0, $0.count) }
        hasStopped = true
        return false
    }

    private func aim(at layer: Int) { boundary = CompiledPattern(.named("\(layerOutput)-\(layer)")) }

    /// Stopping is only worth a try where going on will work; the last layer keeps only the rows that sample.
    private func canStop(at node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        guard layersDone < layerCount - 1, hasMask, cells.count == rows.count else { return false }
        return unsafe fits(node)
    }

    private func fits(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        guard unsafe node.pointee.type == GGML_TYPE_F32 else { return false }
        return unsafe ggml_is_contiguous(node) && ggml_nbytes(node) == residual.count * MemoryLayout<Float>.stride
    }

    private func silence(_ node: UnsafeMutablePointer<ggml_tensor>) {
        unsafe silenced.append(Silenced(node: node, operation: node.pointee.op))
        unsafe node.pointee.op = GGML_OP_NONE
    }

    /// Whether the node depends on the rows themselves, and not only on their positions and cells.
    private func isDerived(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        unsafe GraphNode.hasSource(node) { source in
            if derived.contains(UInt(bitPattern: source)) { return true }
            guard unsafe source.pointee.op == GGML_OP_NONE else { return false }
            return Self.inputs.contains { unsafe $0.matches(source) }
        }
    }

    // MARK: Cells

    /// Puts the first part's cells where the graph reads where keys and values go, and which of them a row may see.
    private func exchange(_ node: UnsafeMutablePointer<ggml_tensor>) {
        switch unsafe node.pointee.op {
        case GGML_OP_SET_ROWS:
            if let places = unsafe node.pointee.src.1 { unsafe exchange(places: places) }
        case GGML_OP_FLASH_ATTN_EXT:
            if let mask = unsafe node.pointee.src.3 { unsafe exchange(mask: mask) }
        default: break
        }
    }

    private func exchange(places: UnsafeMutablePointer<ggml_tensor>) {
        // Inputs of the graph only: what is computed is not there yet.
        guard unsafe places.pointee.op == GGML_OP_NONE, handled.insert(UInt(bitPattern: places)).inserted,
            unsafe places.pointee.type == GGML_TYPE_I64,
            unsafe ggml_nelements(places) == rows.count
        else { return }
        var given = [Int64](repeating: 0, count: rows.count)
        unsafe given.withUnsafeMutableBytes { unsafe ggml_backend_tensor_get(places, $0.baseAddress, 0, $0.count) }
        givenCells = given
        guard isGoingOn else {
            cells = given
            return
        }
        unsafe cells.withUnsafeBytes { unsafe ggml_backend_tensor_set(places, $0.baseAddress, 0, $0.count) }
    }

    private func exchange(mask: UnsafeMutablePointer<ggml_tensor>) {
        guard unsafe GraphNode.isMask(mask, rows: rows.count), handled.insert(UInt(bitPattern: mask)).inserted else {
            return
        }
        let width = unsafe Int(mask.pointee.ne.0)
        hasMask = givenCells.count == rows.count
        guard isGoingOn, hasMask else { return }
        guard cells.allSatisfy({ $0 < width }) else {
            problem = "its mask ends before the rows' cells"
            return
        }
        var values = [UInt16](repeating: 0, count: width * rows.count)
        unsafe values.withUnsafeMutableBytes { unsafe ggml_backend_tensor_get(mask, $0.baseAddress, 0, $0.count) }
        for row in rows.indices {
            for (given, own) in zip(givenCells, cells) where given != own {
                values[row * width + Int(own)] = values[row * width + Int(given)]
                values[row * width + Int(given)] = GraphNode.hiddenCell
            }
        }
        unsafe values.withUnsafeBytes { unsafe ggml_backend_tensor_set(mask, $0.baseAddress, 0, $0.count) }
    }
}
