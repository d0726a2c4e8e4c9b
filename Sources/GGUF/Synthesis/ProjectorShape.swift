/// The shape of a synthetic projector: a small vision transformer and two matrices behind it, in the manner of LLaVA.
///
/// It has causal rows with ordinary positions, and makes `imageSize / patchSize` squared rows of every image.
package struct ProjectorShape: Hashable, Sendable {
    /// Floats per row of the model it is for.
    package var width: Int
    /// Pixels per side that images are brought to; a multiple of `patchSize`.
    package var imageSize = 56
    /// Pixels per side of a patch.
    package var patchSize = 14
    /// Floats per patch inside.
    package var visionWidth = 64
    /// Attention heads; they divide `visionWidth`.
    package var headCount = 4
    /// Layers; the last one is not computed, as in LLaVA.
    package var layerCount = 2

    /// The projector of a model of this width.
    package init(width: Int) { self.width = width }

    private var feedForward: Int { 2 * visionWidth }
    private var patchCount: Int { (imageSize / patchSize) * (imageSize / patchSize) }

    /// Lays out the projector's file.
    package func writer() -> GGUFWriter {
        let prefix = "clip.vision."
        let entries: [(String, MetadataValue)] = [
            (GGUFFormat.architectureKey, .text("clip")), ("general.type", .text("mmproj")),
            ("general.name", .text("Skein synthetic projector")), ("clip.has_vision_encoder", .bool(true)),
            ("clip.projector_type", .text("mlp")), ("clip.use_gelu", .bool(true)),
            (prefix + "image_size", .uint32(UInt32(imageSize))), (prefix + "patch_size", .uint32(UInt32(patchSize))),
            (prefix + "embedding_length", .uint32(UInt32(visionWidth))),
            (prefix + "feed_forward_length", .uint32(UInt32(feedForward))),
            (prefix + "block_count", .uint32(UInt32(layerCount))),
            (prefix + "attention.head_count", .uint32(UInt32(headCount))),
            (prefix + "attention.layer_norm_epsilon", .float(1e-5)),
            (prefix + "projection_dim", .uint32(UInt32(width))),
            (prefix + "image_mean", .array(.floats([0.5, 0.5, 0.5]))),
            (prefix + "image_std", .array(.floats([0.5, 0.5, 0.5]))),
        ]
        return GGUFWriter(metadata: entries.map { MetadataEntry(key: $0.0, value: $0.1) }, tensors: tensors)
    }

    private var tensors: [TensorPlan] {
        var list = [
            matrix("v.patch_embd.weight", [patchSize, patchSize, 3, visionWidth], .f16),
            matrix("v.position_embd.weight", [visionWidth, patchCount], .f32),
        ]
        for layer in 0..<layerCount {
            let block = "v.blk.\(layer)."
            for norm in ["ln1", "ln2"] {
                list += [vector("\(block)\(norm).weight", visionWidth), vector("\(block)\(norm).bias", visionWidth)]
            }
            for role in ["attn_q", "attn_k", "attn_v", "attn_out"] {
                list.append(matrix("\(block)\(role).weight", [visionWidth, visionWidth], .f32))
                list.append(vector("\(block)\(role).bias", visionWidth))
            }
            list += [
                matrix("\(block)ffn_up.weight", [visionWidth, feedForward], .f32),
                vector("\(block)ffn_up.bias", feedForward),
                matrix("\(block)ffn_down.weight", [feedForward, visionWidth], .f32),
                vector("\(block)ffn_down.bias", visionWidth),
            ]
        }
        return list + [
            matrix("mm.0.weight", [visionWidth, feedForward], .f32), vector("mm.0.bias", feedForward),
            matrix("mm.2.weight", [feedForward, width], .f32), vector("mm.2.bias", width),
        ]
    }

    private func matrix(_ name: String, _ dimensions: [Int], _ type: TensorType) -> TensorPlan {
        TensorPlan(name: name, dimensions: dimensions.map { UInt64($0) }, type: type)
    }

    private func vector(_ name: String, _ count: Int) -> TensorPlan { matrix(name, [count], .f32) }
}
