import CLlama
import CLlamaExtras

/// Times what decoding is made of on a device: products with weights, and attention over a cache.
///
/// Both read more memory than a processor keeps in its caches beside its other work, because a model's weights never
/// stay there either.
package struct DeviceTiming: Sendable {
    /// Size of the weights that one timing reads. **Units:** bytes.
    private static let weightBytes = 192 << 20
    /// Sides of the matrices: those of a layer of a small model.
    private static let (width, height): (Int64, Int64) = (2048, 4096)
    /// The caches of one timing: 24 layers of 640 cells take 63 MB.
    private static let (cells, layers): (Int64, Int32) = (640, 24)
    /// Heads of queries, of keys and values, and their size.
    private static let (heads, pairs, headSize): (Int64, Int64, Int64) = (16, 8, 128)

    /// The library's name of the device; nil is the processor.
    package var device: String?
    /// Threads of the processor.
    package var threads: Int

    /// Times `device`.
    package init(device: String? = nil, threads: Int) {
        self.device = device
        self.threads = threads
    }

    /// One run of a timing.
    package struct Sample: Hashable, Sendable {
        /// What was timed.
        package var figure: Double
        /// Share of its threads' time in which they computed; below 1 others used the processor meanwhile. Nil for a
        /// device of its own.
        package var share: Double?

        /// Makes a sample.
        package init(figure: Double, share: Double?) {
            self.figure = figure
            self.share = share
        }
    }

    /// Times of `rows` rows over 10^9 bytes of weights of a ggml type, one per run; empty when the device or the type
    /// cannot. **Units:** milliseconds.
    package func millisecondsPerGigabyte(type: UInt32, rows: Int, runs: Int) -> [Sample] {
        guard type < GGML_TYPE_COUNT.rawValue, (1...4096).contains(rows), runs > 0 else { return [] }
        LlamaLibrary.start()
        let bytes = ggml_row_size(ggml_type(rawValue: type), Self.width) * Int(Self.height)
        guard bytes > 0 else { return [] }
        // Many rows take long and do not wait for memory.
        let matrices = Int32(max(1, Self.weightBytes / bytes / (rows > 16 ? 8 : 1)))
        var times = [extras_time](repeating: extras_time(), count: runs)
        var read: UInt64 = 0
        let count = unsafe withDevice { device in
            unsafe extras_time_products(
                device, type, Self.width, Self.height, matrices, Int32(rows), Int32(max(1, threads)), &times,
                times.count, &read)
        }
        guard read > 0 else { return [] }
        return times.prefix(count).map { sample($0) { $0 / Double(read) * 1e3 } }
    }

    /// Rates of attention of a single row, one per run; empty when the device cannot. Counted is one multiplication and
    /// one addition per value of a key and of a value, for every head of queries. **Units:** operations per second.
    package func attentionOperationsPerSecond(runs: Int) -> [Sample] {
        guard runs > 0 else { return [] }
        LlamaLibrary.start()
        var times = [extras_time](repeating: extras_time(), count: runs)
        let count = unsafe withDevice { device in
            unsafe extras_time_attention(
                device, Self.cells, Self.heads, Self.pairs, Self.headSize, Self.layers, Int32(max(1, threads)), &times,
                times.count)
        }
        let operations = Double(4 * Self.cells * Self.heads * Self.headSize * Int64(Self.layers))
        return times.prefix(count).map { sample($0) { operations / $0 * 1e9 } }
    }

    private func sample(_ time: extras_time, _ figure: (Double) -> Double) -> Sample {
        Sample(
            figure: figure(time.nanoseconds),
            share: device == nil ? time.processor_nanoseconds / (time.nanoseconds * Double(max(1, threads))) : nil)
    }

    private func withDevice<Value>(_ body: (UnsafePointer<CChar>?) -> Value) -> Value {
        guard let device else { return body(nil) }
        return unsafe device.withCString { unsafe body($0) }
    }
}
