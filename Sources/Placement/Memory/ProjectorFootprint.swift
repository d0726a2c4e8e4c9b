package import GGUF
package import Vocabulary

/// Bytes a projector takes beside the first stage, by what they are for.
///
/// `docs/internals/memory-model.md` has the arithmetic.
package struct ProjectorFootprint: Hashable, Sendable {
    /// Its tensors.
    package let weights: ByteCount
    /// Buffers of its graph for the largest picture it encodes at once.
    package let compute: ByteCount
    /// Rows of images that are kept for the next turn.
    package let rows: ByteCount

    /// Works out what `facts` take, and `rows` bytes of images.
    package init(_ facts: ProjectorFacts, rows: ByteCount) {
        weights = ByteCount(min(facts.weightBytes, PlacementLimits.memoryMax))
        compute = ByteCount(Self.computeBytes(facts))
        self.rows = rows
    }

    /// All of it.
    package var total: ByteCount {
        ByteCount(min(weights.bytes + compute.bytes + rows.bytes, PlacementLimits.memoryMax))
    }

    /// The pixels, and beside them what lives at once per patch: cutting into patches, attention, feed-forward, or the
    /// matrices that make rows of the model's width.
    ///
    /// **Source:** `build_vit` of clip.cpp, with flash attention.
    private static func computeBytes(_ facts: ProjectorFacts) -> UInt64 {
        let area = facts.patchSize * facts.patchSize
        let patches = (facts.pixelCount + area - 1) / area
        let pixels = 3 * area
        let (inner, wide) = (facts.innerWidth, facts.feedForward)
        let rows = UInt64(min(max(0, facts.width ?? 0), 1 << 24))
        let floats = pixels + max(pixels / 2, 5 * inner, 3 * inner + wide, inner + 2 * rows)
        let bytes = patches.multipliedReportingOverflow(by: floats * 4)
        return bytes.overflow ? PlacementLimits.memoryMax : min(bytes.partialValue, PlacementLimits.memoryMax)
    }
}
