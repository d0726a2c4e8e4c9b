import GGUF
import ModelStore
import Vocabulary

/// What is known of a projector before a runner loads it; whether it fits the model, the engine says.
enum ProjectorFile {
    /// The digest of a projector's file, whose header is read first.
    ///
    /// **Throws:** `projector` for what is no projector for images.
    static func digest(_ path: String, _ caches: NodeCaches) throws(DeploymentError) -> String {
        do {
            let file = try GGUFFile.parse(try FileByteSource(path: path))
            _ = try ProjectorFacts(file)
            return try caches.digests.digest(ofFile: path)
        } catch {
            throw .projector(path: path, reason: "\(error)")
        }
    }

    /// Whether a model in as many stages can be given rows that no token stands for.
    ///
    /// **Throws:** `projector` for families whose later stages read the tokens again.
    static func check(
        _ spec: DeploymentSpec, _ cutter: ModelCutter, stages: Int
    ) throws(DeploymentError) {
        guard let path = spec.projector, stages > 1, cutter.laterStagesReadTokens else { return }
        throw .projector(path: path, reason: ProjectorObstacle.stagesReadTokens(stages: stages).description)
    }
}
