extension GGUFFile {
    /// Looks for what the format allows but the engine does not survive or understand; empty when all is well.
    ///
    /// A file with a finding of severity `error` MUST NOT be given to the engine: it would abort, read beyond an
    /// array, or refuse with a worse sentence. Errors come first; at most 50 of each severity are returned.
    /// **Source:** the assertions and fixed-type array reads of the pinned llama.cpp.
    package func validate() -> [GGUFFinding] {
        var list = FindingList()
        checkGeneral(&list)
        if let architecture, architecture != "clip" {
            checkLayers(&list, architecture)
            checkHyperparameters(&list, architecture)
            checkExperts(&list, architecture)
        }
        checkTensors(&list)
        TokenizerCheck(file: self).run(&list)
        return list.findings
    }

    private func checkGeneral(_ list: inout FindingList) {
        let key = GGUFFormat.architectureKey
        switch self[key] {
        case .none: list.error(.missingKey, key, "the file does not say what model it is")
        case .some(.string): break
        case .some(let value): list.error(.wrongType, key, "is \(value.type), expected str")
        }
        for (key, type) in [
            ("split.no", MetadataType.uint16), ("split.count", .uint16), ("split.tensors.count", .int32),
            ("general.name", .string), ("tokenizer.chat_template", .string),
        ] {
            requireType(&list, key, type)
        }
        for key in [PlacementTags.requiredKey, PlacementTags.preferredKey] {
            guard let value = self[key], let (kind, problem) = PlacementTags.problem(of: value) else { continue }
            list.error(kind, key, problem)
        }
    }

    /// A finding when the key is there and of another type.
    private func requireType(_ list: inout FindingList, _ key: String, _ type: MetadataType) {
        guard let value = self[key], value.type != type else { return }
        list.error(.wrongType, key, "is \(value.type), expected \(type)")
    }

    private func checkLayers(_ list: inout FindingList, _ architecture: String) {
        let key = "\(architecture).block_count"
        guard let value = self[key] else { return list.error(.missingKey, key, "the number of layers is unknown") }
        guard case .uint32(let count) = value else {
            return list.error(.wrongType, key, "is \(value.type), expected u32")
        }
        guard count > 0 else { return list.error(.outOfRange, key, "is 0, expected at least one layer") }
        var isPresent = [Bool](repeating: false, count: Int(count))
        for tensor in tensors {
            guard let layer = tensor.layerIndex else { continue }
            if layer < Int(count) {
                isPresent[layer] = true
            } else {
                list.error(.strayLayer, tensor.name, "is in layer \(layer), but \(key) is \(count)")
            }
        }
        // One shard of a split model holds some layers only.
        if (unsigned("split.count") ?? 1) <= 1, tensors.contains(where: { $0.layerIndex != nil }) {
            for layer in isPresent.indices where !isPresent[layer] {
                list.warning(.emptyLayer, "blk.\(layer)", "has no tensor, but \(key) is \(count)")
            }
        }
        let nextKey = "\(architecture).nextn_predict_layers"
        if let next = unsigned(nextKey), next > count {
            list.error(.outOfRange, nextKey, "is \(next), expected at most the \(count) layers")
        }
        for name in ["attention.head_count", "attention.head_count_kv", "feed_forward_length", "expert_used_count"] {
            checkPerLayer(&list, "\(architecture).\(name)", layerCount: Int(count))
        }
    }

    /// A value that is a `u32` for all layers or an array with one 32-bit integer per layer.
    private func checkPerLayer(_ list: inout FindingList, _ key: String, layerCount: Int) {
        guard let value = self[key] else { return }
        guard let array = value.array else {
            if value.type != .uint32 { list.error(.wrongType, key, "is \(value.type), expected u32 or an array") }
            return
        }
        if ![.uint32, .int32, .bool].contains(array.elementType) {
            list.error(.wrongType, key, "has elements of type \(array.elementType), expected u32 or i32")
        }
        if array.count != layerCount {
            list.error(.wrongLength, key, "has \(array.count) elements, expected one for each of \(layerCount) layers")
        }
    }

    private func checkHyperparameters(_ list: inout FindingList, _ architecture: String) {
        for name in ["context_length", "embedding_length"] {
            let key = "\(architecture).\(name)"
            requireType(&list, key, .uint32)
            switch self[key] {
            case .none: list.error(.missingKey, key, "every model needs it")
            case .some(.uint32(0)): list.error(.outOfRange, key, "is 0, expected at least 1")
            default: break
            }
        }
        let vocabularyKey = "\(architecture).vocab_size"
        requireType(&list, vocabularyKey, .uint32)
        // Without a tokenizer the engine makes that many dummy tokens, each with its own allocation.
        if let size = unsigned(vocabularyKey), size > UInt64(EngineLimits.tokenCountMax) {
            list.error(.outOfRange, vocabularyKey, "is \(size), expected at most \(EngineLimits.tokenCountMax)")
        }
        let scalingKey = "\(architecture).rope.scaling.type"
        requireType(&list, scalingKey, .string)
        if let scaling = string(scalingKey), !["none", "linear", "yarn", "longrope"].contains(scaling) {
            list.error(.unknownValue, scalingKey, "is '\(scaling)', expected none, linear, yarn or longrope")
        }
    }

    /// The engine asserts these relations while it reads the header.
    private func checkExperts(_ list: inout FindingList, _ architecture: String) {
        let countKey = "\(architecture).expert_count"
        let usedKey = "\(architecture).expert_used_count"
        let groupKey = "\(architecture).expert_group_count"
        let groupUsedKey = "\(architecture).expert_group_used_count"
        for key in [countKey, groupKey, groupUsedKey] { requireType(&list, key, .uint32) }
        let count = unsigned(countKey) ?? 0
        let used = (integers(usedKey)?.max() ?? integer(usedKey)) ?? 0
        let groups = unsigned(groupKey) ?? 0
        let groupsUsed = unsigned(groupUsedKey) ?? 0
        if count > EngineLimits.expertCountMax {
            list.error(.outOfRange, countKey, "is \(count), expected at most \(EngineLimits.expertCountMax)")
        }
        // These two families treat one expert as none.
        if count <= 1, ["hunyuan_vl", "hunyuan-dense", "hunyuan-vl"].contains(architecture) { return }
        if used < 0 || UInt64(used) > count || (count > 0 && used == 0) {
            list.error(.outOfRange, usedKey, "is \(used) of \(count) experts")
        }
        if groups > 0 && groups >= max(count, 1) {
            list.error(.outOfRange, groupKey, "is \(groups) for \(count) experts")
        } else if groups > 1 {
            if count % groups != 0 {
                list.error(.outOfRange, groupKey, "is \(groups), which does not divide \(count) experts")
            }
            if groupsUsed == 0 || groupsUsed >= groups {
                list.error(.outOfRange, groupUsedKey, "is \(groupsUsed) of \(groups) groups")
            }
        }
    }

    private func checkTensors(_ list: inout FindingList) {
        if !tensors.isEmpty && alignment < EngineLimits.dataAlignmentMin {
            list.error(
                .looseAlignment, GGUFFormat.alignmentKey,
                "is \(alignment), expected at least \(EngineLimits.dataAlignmentMin), or the mapped data is misaligned")
        }
        for tensor in tensors where tensor.dimensions.contains(0) {
            list.error(.emptyTensor, tensor.name, "has the shape \(tensor.dimensions)")
        }
    }
}

/// Bounds of the pinned llama.cpp that are not bounds of the file format.
enum EngineLimits {
    /// **Source:** `LLAMA_MAX_EXPERTS`.
    static let expertCountMax: UInt64 = 1024
    /// **Source:** `TENSOR_ALIGNMENT` of ggml-backend. **Units:** bytes.
    static let dataAlignmentMin: UInt64 = 32
    /// Most tokens of a vocabulary that is served; real ones stay below 300,000.
    static let tokenCountMax = 1 << 20
    /// Longest token text that is served; real ones stay below 1 KiB. **Units:** bytes.
    static let tokenByteCountMax = 4096
    /// Value of `LLAMA_TOKEN_TYPE_BYTE`.
    static let byteTokenType: Int32 = 6
}
