import Cluster
import GGUF
package import ModelStore
package import Placement
import Serving
import Vocabulary

/// What a projector asks of the plan of the model it makes see.
package struct ProjectorNeed: Sendable {
    /// What it takes beside the first stage.
    let footprint: ProjectorFootprint
    /// Whether the model has to run in one stage, because later ones would read the tokens again.
    let isWhole: Bool
}

extension ProjectorNeed {
    /// Holds a projector's header against a model's.
    ///
    /// **Throws:** `ProjectorObstacle` when the model cannot see with it; `StoreError` when the model cannot be cut.
    init(_ projector: ModelFile, for model: ModelFile) throws {
        let facts = try ProjectorFacts(projector.header)
        if let obstacle = facts.obstacle(of: model.header) { throw obstacle }
        if model.isEncoder { throw ProjectorObstacle.vectorsOnly }
        footprint = ProjectorFootprint(facts, rows: ByteCount(UInt64(Serving.Limits.keptImageBytes)))
        isWhole = try model.cutter().laterStagesReadTokens
    }
}

/// Why a deployment's projector cannot be used.
struct ProjectorRefusal: Error, CustomStringConvertible {
    /// Name, path or digest.
    let projector: String
    let obstacle: ProjectorObstacle

    /// One sentence with the next step.
    var description: String {
        "The projector \(projector) cannot be used: \(obstacle). Name the one that was made for the model, or deploy "
            + "without one."
    }
}

extension ModelLibrary {
    /// What a deployment's projector asks of its plan, by headers of this machine or of members; nil for text alone.
    ///
    /// **Throws:** `ProjectorRefusal`, `LibraryError`, `CancellationError`.
    func projectorNeed(_ deployment: Deployment) async throws -> ProjectorNeed? {
        guard let identity = deployment.projectorIdentity else { return nil }
        let projector = try await header(identity)
        do {
            return try ProjectorNeed(projector, for: try await header(deployment.identity))
        } catch let obstacle as ProjectorObstacle {
            throw ProjectorRefusal(projector: "\(identity.digest.prefix(12))…", obstacle: obstacle)
        }
    }
}

extension DeploymentPlan {
    /// Counts a projector's file beside the first stage of a plan for `model`.
    ///
    /// **Throws:** `DeploymentError.projector` when the model cannot see with it.
    package static func count(
        projector path: String, of model: ModelFile, in request: inout PlacementRequest
    ) throws(DeploymentError) {
        do {
            let need = try ProjectorNeed(try ModelFile(path: path), for: model)
            let stages = request.boundaries.map { $0.count + 1 } ?? request.stages ?? 1
            if need.isWhole, stages > 1 { throw ProjectorObstacle.stagesReadTokens(stages: stages) }
            if need.isWhole { request.stages = 1 }
            request.projector = need.footprint.total
        } catch {
            throw .projector(path: path, reason: "\(error)")
        }
    }
}
