import CLlama

/// A node of flash attention whose inputs this process reads before it is computed: all rows of a batch over one pool
/// of cells, keys, values and mask in ordinary memory, and a mask that is an input and so has been filled. Where the
/// library takes a batch in parts, the graph of one would be seen with the mask of another.
///
/// **Isolation:** the compute thread.
@safe struct AttentionNode {
    let node: UnsafeMutablePointer<ggml_tensor>
    /// **Shape:** `[heads, cells, head width]`; so have the values.
    let keys: UnsafeMutablePointer<ggml_tensor>
    let values: UnsafeMutablePointer<ggml_tensor>
    /// **Shape:** `[rows, cells]`.
    let mask: UnsafeMutablePointer<ggml_tensor>

    /// Nil when the node is none, or not of so many rows.
    init?(_ node: UnsafeMutablePointer<ggml_tensor>, rows: Int) {
        guard unsafe node.pointee.op == GGML_OP_FLASH_ATTN_EXT, let keys = unsafe node.pointee.src.1,
            let values = unsafe node.pointee.src.2, let mask = unsafe node.pointee.src.3,
            unsafe GraphNode.isMask(mask, rows: rows), unsafe mask.pointee.data != nil,
            unsafe ggml_is_contiguous(mask), unsafe mask.pointee.ne.0 > 0,
            unsafe Self.isInMemory(mask), unsafe Self.isPool(keys, of: mask), unsafe Self.isPool(values, of: mask)
        else { return nil }
        unsafe self.node = node
        unsafe self.keys = keys
        unsafe self.values = values
        unsafe self.mask = mask
    }

    private static func isPool(_ tensor: UnsafePointer<ggml_tensor>, of mask: UnsafePointer<ggml_tensor>) -> Bool {
        unsafe isInMemory(tensor) && tensor.pointee.ne.1 == mask.pointee.ne.0 && tensor.pointee.ne.3 == 1
    }

    private static func isInMemory(_ tensor: UnsafePointer<ggml_tensor>) -> Bool {
        guard let buffer = unsafe tensor.pointee.view_src?.pointee.buffer ?? tensor.pointee.buffer else { return false }
        return unsafe ggml_backend_buffer_get_type(buffer) == ggml_backend_cpu_buffer_type()
    }
}
