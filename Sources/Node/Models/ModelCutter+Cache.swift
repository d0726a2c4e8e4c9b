import GGUF
import Placement
import Vocabulary

extension ModelCutter {
    /// What keys and values are stored in: as asked, and as planned where nothing is. A header that lacks what planning
    /// needs says nothing of its heads.
    ///
    /// **Throws:** `DeploymentError.setting` when the model cannot be run so.
    func cache(
        keys: CacheFormat?, values: CacheFormat?
    ) throws(DeploymentError) -> (keys: CacheFormat, values: CacheFormat) {
        guard let stores = try? ModelFootprint(self).stores else { return (keys ?? .f16, values ?? .f16) }
        let chosen = stores.chosen(keys: keys, values: values)
        if let obstacle = stores.obstacle(keys: chosen.keys, values: chosen.values) {
            throw .setting(name: obstacle.field, value: obstacle.value, limit: obstacle.limit)
        }
        return chosen
    }
}
