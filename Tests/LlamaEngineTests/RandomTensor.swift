import CLlama

/// Fills tensors in ordinary memory.
enum RandomTensor {
    /// Fills one with what its type makes of numbers from -1 to 1, and answers what it has then.
    static func fill(
        _ tensor: UnsafeMutablePointer<ggml_tensor>, _ random: inout some RandomNumberGenerator
    ) -> [Float] {
        let count = unsafe Int(ggml_nelements(tensor))
        let floats = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
        let width = unsafe tensor.pointee.ne.0
        _ = unsafe ggml_quantize_chunk(
            tensor.pointee.type, floats, tensor.pointee.data, 0, Int64(count) / width, width, nil)
        guard let read = unsafe ggml_get_type_traits(tensor.pointee.type).pointee.to_float else { return floats }
        var values = [Float](repeating: 0, count: count)
        unsafe read(tensor.pointee.data, &values, Int64(count))
        return values
    }
}
