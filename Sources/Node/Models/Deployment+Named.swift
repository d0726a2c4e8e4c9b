import Cluster
import Vocabulary

extension Deployment {
    /// The deployment as names find it.
    var named: NamedModel {
        NamedModel(
            id: name, standing: .deployed, aliases: aliases, sources: ModelCatalogue.sources(sources),
            quantization: quantization, digest: digest)
    }
}
