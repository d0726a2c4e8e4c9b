import Cluster
import Dialects
import Fabric
import Gateway
import ModelStore
import Vocabulary

/// The node around its workshop: what it serves by itself, and its part in a cluster.
struct NodePremises: ModelPremises {
    let backend: NodeBackend
    let supervisors: [PlacementSupervisor]
    let cluster: ClusterNode?

    func served() async -> [ServedModel] { await backend.served() }

    func name(ofDigest digest: String, besides path: String) async -> String? {
        if let own = supervisors.first(where: { $0.plan.card.digest == digest }) { return own.plan.spec.name }
        return await cluster?.library.name(ofDigest: digest, besides: path)
    }

    func take(_ path: String, digest: String, as name: String) async throws(Ollama.ModelError) {
        guard let cluster else {
            throw .impossible(
                what: "Serving another model file on a node that serves alone",
                remedy: "start it without '--alone', or run 'skein serve \(path) --name \(name)'")
        }
        do throws(LibraryError) {
            let book = try await cluster.library.add(path: path, name: name)
            guard book.digest == digest else {
                await cluster.library.forget(path, digest: book.digest)
                throw LibraryError.store(.wrongDigest(path: path, expected: digest, actual: book.digest))
            }
        } catch {
            if case .store(let reason) = error { throw Ollama.ModelError(reason) }
            throw .storeFailed(reason: error.description)
        }
        // Other members hear of it at once.
        await cluster.service.measureNow()
    }

    func forget(_ path: String, digest: String) async { await cluster?.library.forget(path, digest: digest) }

    func undeploy(_ name: String) async throws(Ollama.ModelError) -> Bool {
        guard let cluster else { return false }
        guard await cluster.service.view.deployments.contains(where: { $0.deployment.name == name }) else {
            return false
        }
        do {
            guard case .refused(let refusal) = try await cluster.service.apply(.undeploy(name)) else { return true }
            if refusal.code == .notFound { return true }
            throw Ollama.ModelError.undecided(reason: refusal.description)
        } catch let error as Ollama.ModelError {
            throw error
        } catch {
            throw .undecided(reason: "\(error)")
        }
    }
}

extension ClusterView {
    /// Time until a deployment is unloaded unless a request comes; nil for never. Idle times are those told last.
    ///
    /// **Units:** milliseconds.
    func timeLeft(of deployment: DeploymentView) -> UInt64? {
        guard let time = deployment.deployment.keepAliveMilliseconds else { return nil }
        let idle = deployment.placements.filter { $0.phase == .active }.map { placement -> UInt64 in
            let entry = members.first { $0.member.node == placement.stages.first?.node }
            return entry?.reading?.stages.last { $0.epoch == placement.epoch }?.idleMilliseconds ?? 0
        }
        return time - min(time, idle.min() ?? 0)
    }

    /// Whether a machine of a deployment has anything but a CPU to compute on; nil while one does not tell.
    func isOnGPU(_ deployment: DeploymentView) -> Bool? {
        let nodes = deployment.placements.filter { $0.phase == .active }.flatMap(\.stages).map(\.node)
        guard !nodes.isEmpty else { return nil }
        var isKnown = true
        for node in nodes {
            let devices = members.first { $0.member.node == node }?.reading?.devices ?? []
            if devices.contains(where: { $0.compute != "cpu" }) { return true }
            if devices.isEmpty { isKnown = false }
        }
        return isKnown ? false : nil
    }
}
