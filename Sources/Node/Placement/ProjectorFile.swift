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
            if let reason = refusal(of: file) { throw DeploymentError.projector(path: path, reason: reason) }
            return try caches.digests.digest(ofFile: path)
        } catch let error as DeploymentError {
            throw error
        } catch {
            throw .projector(path: path, reason: "\(error)")
        }
    }

    private static func refusal(of file: GGUFFile) -> String? {
        let name = file.architecture ?? "unknown"
        guard name == "clip" else {
            return "it is a model of architecture '\(name)', not a projector"
        }
        guard file.bool("clip.has_vision_encoder") == true else {
            return file.bool("clip.has_audio_encoder") == true
                ? "it is a projector for sound, not for images" : "it has no encoder for images"
        }
        return nil
    }

    /// Whether the stages can be given rows that no token stands for.
    ///
    /// **Throws:** `projector` for families whose later stages read the tokens again.
    static func check(_ files: [StageFile], of spec: DeploymentSpec) throws(DeploymentError) {
        guard let path = spec.projector else { return }
        for file in files {
            if case .inject(_, realTokens: true) = file.recipe.feed {
                throw .projector(
                    path: path,
                    reason: "stages of this model read the tokens again, and images have none; use one stage")
            }
        }
    }
}
