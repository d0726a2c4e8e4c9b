package import Cluster
import Fabric
import GGUF
package import Gateway
import ModelStore
import Vocabulary

/// The cluster service as the HTTP API sees it. A wish to deploy is completed with the digest of the model's file
/// before it enters the log, because a name or a path means something on this node only.
package struct ClusterGate: ClusterViewing {
    private let service: ClusterService
    private let library: ModelLibrary
    private let office: TokenOffice
    private let peers: PeerClient
    private let catalogue: ModelCatalogue
    /// What this node serves by itself.
    private let own: [NamedModel]
    /// The models that were made here.
    private let variants: ModelVariants
    /// How often a file that is gone is passed over for another one of the name.
    private static let lookLimit = 8

    /// Opens a node's part in the cluster to the API.
    init(_ node: ClusterNode, own: [NamedModel], variants: ModelVariants) {
        self.own = own
        self.variants = variants
        catalogue = node.catalogue
        service = node.service
        library = node.library
        peers = node.peers
        office = TokenOffice(service: node.service, security: node.security)
    }

    /// See `ClusterViewing`.
    package var life: UInt64 { service.life }

    /// See `ClusterViewing`.
    package func currentView() async -> ClusterView { await service.view }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `ClusterServiceError.stopped`.
    package func apply(_ action: Command.Action) async throws -> CommandOutcome {
        if case .remove(let node) = action, node == service.node { return try await leave() }
        switch action {
        case .deploy(let wish):
            switch await completed(wish) {
            case .success(let deployment): return try await service.apply(.deploy(deployment))
            case .failure(let refusal): return .refused(refusal)
            }
        case .undeploy(let name):
            switch await deployed(name) {
            case .success(let name): return try await service.apply(.undeploy(name))
            case .failure(let refusal): return .refused(refusal)
            }
        default: return try await service.apply(action)
        }
    }

    /// The deployment a name means; what means none is left to the cluster, which says so.
    private func deployed(_ name: String) async -> Result<String, CommandRefusal> {
        let models = await service.view.deployments.map(\.deployment.named)
        let meant = models.contains { $0.id == name } ? name : variants.find(name)?.base ?? name
        do throws(ModelNameError) {
            return .success(try ModelResolver(models).resolve(meant).id)
        } catch .unknown {
            return .success(name)
        } catch {
            return .failure(CommandRefusal(error))
        }
    }

    /// Removes this node. The log does not tell a node of its own removal, so the leader's node is asked.
    private func leave() async throws -> CommandOutcome {
        guard let leader = await service.view.leadership.leader, leader != service.node else {
            return try await service.apply(.remove(service.node))
        }
        do throws(PeerError) {
            return try await peers.post("leave", [String: String](), to: leader, as: LeaveReply.self).outcome
        } catch {
            return .refused(CommandRefusal(.unanswered, "The leader cannot be asked (\(error)); try again."))
        }
    }

    /// See `ClusterViewing`.
    package func updates(after number: UInt64?) async -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)? {
        service.watch(after: number)
    }

    /// See `ClusterViewing`.
    package func preview(_ wish: Deployment) async -> PlanPreview {
        switch await completed(wish) {
        case .success(let deployment):
            let (question, answer) = await service.preview(deployment)
            return PlanPreview(question: question, answer: answer)
        case .failure(let refusal):
            // Without a digest the planner would wait for somebody who has the model, and nobody can have it.
            return PlanPreview(
                question: await service.planQuestion(for: wish), answer: .refused(reason: refusal.description))
        }
    }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func createToken(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken {
        try await office.create(wish)
    }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** nothing; the tokens are settings every node knows.
    package func tokens() async throws(TokenRefusal) -> [TokenView] { await office.all() }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func revokeToken(_ id: String) async throws(TokenRefusal) { try await office.revoke(id) }

    // MARK: Models

    /// See `ClusterViewing`.
    package func models() async -> [ClusterModel] {
        let view = await service.view
        let deployed = view.deployments.map { ($0.deployment.named, $0.state.rawValue) }
        let taken = Set(deployed.map { [$0.0.id, $0.0.digest] })
        let files = await catalogue.entries(view).map { ($0.named, "available") }
        return (deployed + files.filter { !taken.contains([$0.0.id, $0.0.digest]) }).map { named, state in
            let holders = view.members.filter { member in
                member.liveness == .alive && member.reading?.holds.contains(named.digest) == true
            }
            return ClusterModel(named: named, state: state, holders: holders.map(\.member.node).sorted())
        }
    }

    /// See `ClusterViewing`.
    package func completed(_ wish: Deployment) async -> Result<Deployment, CommandRefusal> {
        var deployment = wish
        do throws(CommandRefusal) {
            if let draft = wish.draftDigest { deployment.draft = try await model(draft).digest }
            if wish.digest.isEmpty {
                let found = try await model(wish.model, from: ModelCatalogue.sources(wish.sources))
                if wish.name == wish.model { deployment.name = found.id }
                // What it was asked by, as the name of a variant, may mean something else elsewhere.
                if !wish.model.hasPrefix("/") { deployment.model = found.id }
                deployment.digest = found.digest
                deployment.quantization = found.quantization
                deployment.sources = ModelCatalogue.texts(wish.sources + found.fullSources.map(\.description))
                deployment.blocks = ""
                deployment.projector = try await projector(wish.projector, of: deployment)
                deployment.projectorBlocks = ""
                await service.measureNow()
            }
        } catch {
            return .failure(error)
        }
        if deployment.blocks.isEmpty { deployment.blocks = await library.root(ofBlocksOf: deployment.digest) }
        if deployment.blocks.isEmpty {
            // Nobody is there to ask; deployed before, the cluster knows it.
            let known = await service.effectiveState.deployments.values.first { $0.digest == deployment.digest }
            deployment.blocks = known?.blocks ?? ""
        }
        // What has a digest already was completed before.
        guard wish.digest.isEmpty else { return .success(deployment) }
        if let refusal = await headRefusal(deployment) { return .failure(refusal) }
        guard let projector = deployment.projectorIdentity else { return .success(deployment) }
        deployment.projectorBlocks = await blocks(ofProjector: projector.digest)
        if let refusal = await objection(to: deployment, calledAs: wish.projector) { return .failure(refusal) }
        return .success(deployment)
    }

    /// Why a wish's model cannot guess with a head of its own, as far as this node can see its header; who plans it
    /// looks again.
    private func headRefusal(_ wish: Deployment) async -> CommandRefusal? {
        guard wish.usesHeads, let cutter = try? await library.heldHeader(wish.identity)?.cutter() else { return nil }
        do throws(DeploymentError) {
            try wish.checkHead(cutter.headObstacle)
            return nil
        } catch {
            return CommandRefusal(.invalid, error.description)
        }
    }

    // MARK: Projectors

    /// What a wish says to have none, whatever its node serves the model with.
    private static let noProjector = "off"

    /// The digest of the projector a name, a path or a digest means; where nothing is said, of the one with which a
    /// member serves the model by itself. Empty for text alone.
    private func projector(_ text: String, of deployment: Deployment) async throws(CommandRefusal) -> String {
        if text == Self.noProjector { return "" }
        if text.isEmpty { return await library.projector(of: deployment.digest) ?? "" }
        guard !text.hasPrefix("/") else {
            let book: ModelLibrary.Book
            do throws(LibraryError) {
                book = try await library.add(path: text)
            } catch {
                throw CommandRefusal(.notFound, error.description)
            }
            return book.digest
        }
        let view = await service.view
        // What was deployed with one before still has it when nobody is there to name the file.
        let remembered = view.deployments.map(\.deployment.projector).filter { !$0.isEmpty }.map { digest in
            NamedModel(id: digest, standing: .remembered, digest: digest)
        }
        let known = (await catalogue.projectors(view)).map(\.named) + remembered
        do throws(ModelNameError) {
            return try ModelResolver(known).resolve(text).digest
        } catch {
            throw CommandRefusal(projector: error)
        }
    }

    /// Root of the digests of a projector's blocks; empty when nobody knows it.
    private func blocks(ofProjector digest: String) async -> String {
        let told = await library.root(ofBlocksOf: digest)
        if !told.isEmpty { return told }
        // Nobody is there to ask; deployed before, the cluster knows it.
        return await service.effectiveState.deployments.values.first { $0.projector == digest }?.projectorBlocks ?? ""
    }

    /// Why a wish's projector cannot be used with its model, as far as this node can see both headers; who plans it
    /// looks again.
    private func objection(to wish: Deployment, calledAs text: String) async -> CommandRefusal? {
        guard let identity = wish.projectorIdentity, let projector = await library.heldHeader(identity),
            let model = await library.heldHeader(wish.identity)
        else { return nil }
        do {
            let need = try ProjectorNeed(projector, for: model)
            if let stages = wish.stages, stages > 1, need.isWhole {
                throw ProjectorObstacle.stagesReadTokens(stages: Int(clamping: stages))
            }
            return nil
        } catch let obstacle as ProjectorObstacle {
            let name = text.isEmpty ? "\(identity.digest.prefix(12))…" : text
            return CommandRefusal(.invalid, ProjectorRefusal(projector: name, obstacle: obstacle).description)
        } catch {
            return CommandRefusal(.invalid, "\(error)")
        }
    }

    // MARK: Names

    /// The model a name or an absolute path means, as its file is now; `sources` say more of where it comes from.
    private func model(
        _ text: String, from sources: [ModelSource] = []
    ) async throws(CommandRefusal) -> NamedModel {
        if text.hasPrefix("/") {
            do throws(LibraryError) {
                return try await library.add(path: text, sources: sources).named
            } catch {
                throw CommandRefusal(.notFound, error.description)
            }
        }
        for _ in 0..<Self.lookLimit {
            let found: NamedModel
            do throws(ModelNameError) {
                found = try ModelResolver(await deployable()).resolve(text)
            } catch {
                throw CommandRefusal(error)
            }
            // A name made here means its base, whatever else has that name.
            if found.standing == .made, let made = variants.find(found.id) {
                return try await model(made.digest ?? made.base, from: sources)
            }
            do throws(LibraryError) {
                guard let book = try await library.look(atDigest: found.digest, sources: sources) else { return found }
                // What is served here is called as it is served, not as its file.
                guard found.standing == .own, book.digest == found.digest else { return book.named }
                return found
            } catch {
                continue
            }
        }
        throw CommandRefusal(.notFound, "The files of '\(text)' change all the time; try again.")
    }

    /// What can be deployed: this node's own models, names made here, the files of all members, and what the cluster
    /// remembers of its deployments, also by what those were made from.
    private func deployable() async -> [NamedModel] {
        let view = await service.view
        let remembered = view.deployments.map { view in
            var named = view.deployment.named
            named.standing = .remembered
            if !view.deployment.model.hasPrefix("/") { named.aliases.append(view.deployment.model) }
            return named
        }
        return own + variants.all.map { NamedModel(id: $0.name, standing: .made) }
            + (await catalogue.entries(view)).map(\.named) + remembered
    }
}

extension ModelLibrary.Book {
    /// The file as names find it.
    fileprivate var named: NamedModel {
        ModelCatalogue.Entry(
            name: name, digest: digest, sources: ModelCatalogue.sources(sources), quantization: quantization ?? "",
            isHere: true
        ).named
    }
}

extension CommandRefusal {
    /// What a name gets that means no projector.
    fileprivate init(projector error: ModelNameError) {
        switch error {
        case .unknown(let name, let available):
            let known = available.isEmpty ? "" : ", or one of: \(available.joined(separator: ", "))"
            self.init(
                .notFound, "No member has a projector '\(name)'; give the path of its file on this node\(known).")
        default: self.init(error)
        }
    }

    /// What a name gets that means no model.
    fileprivate init(_ error: ModelNameError) {
        switch error {
        case .unknown(let name, let available):
            let known = available.isEmpty ? "" : ", or one of: \(available.joined(separator: ", "))"
            self.init(.notFound, "No member has a model '\(name)'; give the path of a GGUF file on this node\(known).")
        case .otherRevision, .otherQuantization: self.init(.notFound, error.description)
        case .ambiguous: self.init(.conflict, error.description)
        case .empty, .tooLong, .character, .malformed: self.init(.invalid, error.description)
        }
    }
}
