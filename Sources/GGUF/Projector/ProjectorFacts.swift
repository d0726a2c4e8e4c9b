/// What a projector's header tells of it, before an engine loads it: whether it can be used with a model, and what the
/// plan of its memory starts from.
///
/// **Source:** `tools/mtmd/clip.cpp` and `mtmd.cpp` of the pinned llama.cpp.
package struct ProjectorFacts: Hashable, Sendable {
    /// How it makes rows, `mlp`.
    package let family: String
    /// Floats per row that it makes; nil where the header alone does not tell.
    package let width: Int?
    /// Bytes of its tensors, each padded to 32.
    package let weightBytes: UInt64
    /// Floats per patch inside.
    package let innerWidth: UInt64
    /// Floats per patch between the two matrices of its layers.
    package let feedForward: UInt64
    /// Pixels per side of a patch.
    package let patchSize: UInt64
    /// Pixels of the largest picture that it encodes at once.
    package let pixelCount: UInt64

    /// Reads a header.
    ///
    /// **Throws:** `ProjectorObstacle` for what is no projector for images.
    package init(_ file: GGUFFile) throws(ProjectorObstacle) {
        let architecture = file.architecture ?? "unknown"
        guard architecture == Self.architecture else { throw .noProjector(architecture: architecture) }
        guard file.bool("clip.has_vision_encoder") == true else {
            throw file.bool("clip.has_audio_encoder") == true ? ProjectorObstacle.soundOnly : .noEncoder
        }
        let family = file.string("clip.projector_type") ?? file.string("clip.vision.projector_type") ?? "mlp"
        self.family = family
        width = Self.width(family, file)
        weightBytes = file.tensors.reduce(0) { sum, tensor in
            let padded = tensor.byteCount.addingReportingOverflow(31)
            let total = sum.addingReportingOverflow(padded.overflow ? .max : padded.partialValue / 32 * 32)
            return total.overflow ? .max : total.partialValue
        }
        func number(_ key: String) -> UInt64 { min(file.unsigned("clip.vision.\(key)") ?? 0, Self.sizeLimit) }
        innerWidth = number("embedding_length")
        feedForward = number("feed_forward_length")
        patchSize = max(1, number("patch_size"))
        let side = number("image_size")
        var pixels = max(side * side, number("image_max_pixels"))
        if let rows = Self.largestImages[family] {
            let merged = min(Self.sizeLimit, patchSize * max(1, min(number("spatial_merge_size"), Self.mergeLimit)))
            pixels = max(pixels, rows * merged * merged)
        }
        pixelCount = pixels
    }

    /// What projectors call themselves where models name their architecture.
    package static let architecture = "clip"
    /// Sizes beyond it are of no projector, and must not overflow. **Units:** whatever the header counts.
    private static let sizeLimit: UInt64 = 1 << 24
    /// Patches per side that become one row.
    private static let mergeLimit: UInt64 = 64
    /// Most rows of one picture in the families that take pictures as large as they come.
    ///
    /// **Source:** `set_limit_image_tokens` in clip.cpp.
    private static let largestImages: [String: UInt64] = [
        "gemma4v": 1120, "kimivl": 1024, "lfm2": 256, "pixtral": 1024,
    ]

    /// The tensor whose rows or columns are the projector's output, by family; the engine says it of the others.
    ///
    /// **Source:** `clip_n_mmproj_embd`.
    private static func width(_ family: String, _ file: GGUFFile) -> Int? {
        func size(_ name: String, _ dimension: Int) -> Int? {
            guard let tensor = file.tensors.first(where: { $0.name == name }),
                tensor.dimensions.indices.contains(dimension)
            else { return nil }
            return Int(exactly: tensor.dimensions[dimension])
        }
        return switch family {
        case "mlp": size("mm.3.bias", 0) ?? size("mm.2.weight", 1)
        case "phi4", "pixtral", "lightonocr", "dots_ocr", "lfm2", "kimivl", "kimik25", "yasa2":
            size("mm.2.weight", 1)
        case "internvl", "nemotron_v2_vl": size("mm.model.mlp.3.weight", 1)
        case "idefics3", "llama4", "deepseekocr": size("mm.model.fc.weight", 1)
        case "gemma3", "gemma3nv": size("mm.input_projection.weight", 0)
        case "gemma4v", "gemma4uv": size("mm.input_projection.weight", 1)
        default: nil
        }
    }

    /// Why the projector cannot be used with a model of this header; nil when nothing speaks against it. What the
    /// header does not tell, the engine says when it loads both.
    package func obstacle(of model: GGUFFile) -> ProjectorObstacle? {
        let architecture = model.architecture ?? "unknown"
        if Self.countsInThreeDirections(model) { return .threeDirections(architecture: architecture) }
        let rows = model.unsigned("\(architecture).embedding_length").flatMap(Int.init(exactly:))
        switch family {
        case "gemma3", "gemma4uv", "deepseek4v": return .bothDirections(family: family)
        // The two smaller models of that family see an image from its beginning on.
        case "gemma4v" where rows != 1536 && rows != 2560: return .bothDirections(family: family)
        case "qwen3vl_merger", "granite4_vision": return .severalLayers(family: family)
        default: break
        }
        if let width, let rows, width != rows { return .otherWidth(projector: width, model: rows) }
        return nil
    }

    /// Whether positions of an image have three directions (M-RoPE).
    ///
    /// **Source:** `llama_model_rope_type`.
    private static func countsInThreeDirections(_ model: GGUFFile) -> Bool {
        switch model.architecture ?? "" {
        case "qwen2vl", "paddleocr", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen4exp": return true
        case "glm4", "glm4moe", "hunyuan_vl", "bailingmoe3":
            let sections = model.integers("\(model.architecture ?? "").rope.dimension_sections") ?? []
            return sections.count >= 2 && sections[0] > 0 && sections[1] > 0
        default: return false
        }
    }
}

/// Why a file makes no model see.
package enum ProjectorObstacle: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is a model, or nothing known.
    case noProjector(architecture: String)
    /// It reads sound.
    case soundOnly
    /// It reads neither images nor sound.
    case noEncoder
    /// It was made for a model of other rows. **Units:** floats per row.
    case otherWidth(projector: Int, model: Int)
    /// The model counts an image's positions in three directions.
    case threeDirections(architecture: String)
    /// Rows of an image have to see each other in both directions.
    case bothDirections(family: String)
    /// Rows of an image enter several layers.
    case severalLayers(family: String)
    /// The model makes vectors of texts.
    case vectorsOnly
    /// Later stages of the model read the tokens again, and images have none.
    case stagesReadTokens(stages: Int)

    /// A clause that goes on a sentence about the projector.
    package var description: String {
        switch self {
        case .noProjector(let architecture): "it is a model of architecture '\(architecture)', not a projector"
        case .soundOnly: "it is a projector for sound, not for images"
        case .noEncoder: "it has no encoder for images"
        case .otherWidth(let projector, let model):
            "it makes rows of \(projector) floats, and the model takes \(model)"
        case .threeDirections(let architecture):
            "the model (\(architecture)) counts an image's positions in three directions (M-RoPE), which stages do "
                + "not do yet"
        case .bothDirections(let family):
            "an image's rows (\(family)) have to see each other in both directions, which stages do not do yet"
        case .severalLayers(let family):
            "an image's rows (\(family)) enter several layers, which stages do not do yet"
        case .vectorsOnly: "the model makes vectors of texts and generates nothing"
        case .stagesReadTokens(let stages):
            "stages of this model read the tokens again, and images have none; it has to run in one stage, not "
                + "\(stages)"
        }
    }
}
