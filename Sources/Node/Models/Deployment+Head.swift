import Cluster
import LlamaEngine
package import Placement
import Serving

extension HeadSettings {
    /// As the engine runs a model's own head.
    package static let ofEngine = HeadSettings(
        spareCells: LlamaStageEngine.headSpareCells, gatheredRows: LlamaStageEngine.headGatheredRows,
        rows: Serving.Limits.draftFeed)
}

extension Deployment {
    /// Refuses a wish for guesses of the model's own head where it has none that can guess; a nil obstacle is none.
    func checkHead(_ obstacle: String?) throws(DeploymentError) {
        guard usesHeads, let obstacle else { return }
        throw .heads(model: name, reason: obstacle)
    }
}
