import GGUF
import Placement
import Vocabulary

/// The entry point libFuzzer calls with every input it makes up: parse, and when accepted, rewrite, validate, cut, and
/// work out what stages take.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzOneInput(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: data, count: count))
    for expectingData in [true, false] {
        do throws(GGUFError) {
            let file = try GGUFFile.parse(ByteArraySource(bytes), expectingData: expectingData)
            _ = file.validate()
            let copy = try GGUFWriter(copying: file).layout().file
            precondition(copy == file, "a rewritten file differs from its original")
            place(file)
        } catch {
            precondition(!error.description.isEmpty, "a refusal without a sentence")
        }
    }
    return 0
}

/// What every node does with the header of a model that is to be placed. Unknown families are cut, too, so that more
/// inputs come this far.
private func place(_ file: GGUFFile) {
    guard let cutter = try? ModelCutter(file, allowsUnknownFamilies: true) else { return }
    if let boundary = cutter.legalBoundaries.first {
        _ = try? cutter.plan(LayerRange(first: 0, end: boundary))
    }
    do throws(PlacementError) {
        let model = try ModelFootprint(cutter)
        precondition(model.layerWeights.count == model.layerCount, "a layer without a weight")
        for layout in WeightLayout.allCases {
            // The largest settings that a request may have.
            let settings = MemorySettings(
                cells: PlacementLimits.contextMax, lanes: PlacementLimits.lanesMax, rows: PlacementLimits.rowsMax,
                keys: .f32, values: .f32, usesFlashAttention: false, keepsWholeWindows: false, layout: layout)
            let stage = model.stage(model.whole, settings)
            precondition(stage.total >= stage.withoutCache, "a stage of \(stage.total) in all")
        }
        // A search is quadratic in the layers; what it adds up is the same with few.
        guard model.layerCount <= searchedLayers else { return }
        let device = DeviceInventory(usableMemory: ByteCount(1 << 30))
        let inventory = Inventory(nodes: [NodeInventory(name: "a", devices: [device])])
        _ = try Planner(model: model, inventory: inventory).plan(PlacementRequest(context: 512))
    } catch {
        precondition(!error.description.isEmpty, "a refusal without a sentence")
    }
}

/// Layers of the largest model that is searched a placement for.
private let searchedLayers = 8
