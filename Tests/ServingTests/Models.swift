import ReferenceEngine
import Synchronization
import Vocabulary

/// Models made so far: drawing their weights would take most of the time of tests that make many pipelines.
enum Models {
    private struct Key: Hashable {
        let sizes: ReferenceModel.Sizes
        let seed: UInt64
        let range: LayerRange
    }

    private static let made = Mutex<[Key: ReferenceModel]>([:])

    static func model(_ sizes: ReferenceModel.Sizes, _ seed: UInt64, _ range: LayerRange) -> ReferenceModel {
        let key = Key(sizes: sizes, seed: seed, range: range)
        return made.withLock { made in
            if let model = made[key] { return model }
            let model = ReferenceModel(sizes: sizes, seed: seed, range: range)
            made[key] = model
            return model
        }
    }
}
