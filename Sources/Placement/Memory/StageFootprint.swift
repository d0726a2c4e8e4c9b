package import Vocabulary

/// Bytes one stage needs, by what they are for.
package struct StageFootprint: Hashable, Sendable, Codable {
    /// The layers.
    package var layers: LayerRange
    /// Tensors as the stage's file has them, zeros in place of unused ones included.
    package var weights: ByteCount
    /// KV cache and recurrent state.
    package var cache: ByteCount
    /// Buffers of the compute graph, as the library reserves them.
    package var compute: ByteCount
    /// What of `compute` no step ever writes to, which ordinary memory therefore never holds; 0 in a device's memory.
    package var untouched: ByteCount
    /// The buffer that takes logits out of the graph.
    package var output: ByteCount
    /// Everything else a runner takes: the process, its tokenizer and its working buffers.
    package var overhead: ByteCount
    /// The projector beside the first stage, with its buffers and the images it keeps; 0 on the others.
    package var projector = ByteCount(0)
    /// Bytes of `weights` that come from the model, which a node without them must fetch.
    package var fetched: ByteCount

    /// What becomes resident, all of it; what is beyond 64 bits counts as the most there is.
    package var total: ByteCount { ByteCount(withoutCache.bytes.addingSaturated(cache.bytes)) }

    /// All of it but the cache, which is what context does not change (but for a mask in `compute`).
    package var withoutCache: ByteCount {
        ByteCount(
            (compute.bytes - untouched.bytes).addingSaturated(weights.bytes).addingSaturated(output.bytes)
                .addingSaturated(overhead.bytes).addingSaturated(projector.bytes))
    }
}
