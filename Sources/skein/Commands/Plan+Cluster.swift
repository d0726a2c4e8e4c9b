import ArgumentParser

extension Plan {
    /// What the cluster decides by itself cannot be asked for.
    func validateOnCluster() throws {
        guard onCluster else {
            guard asked.node == nil, asked.apiKey == nil else {
                throw ValidationError("--node and --api-key go with --on-cluster; an inventory is given with --nodes.")
            }
            return
        }
        guard model != nil else { throw ValidationError("--on-cluster needs a MODEL.") }
        let local = [
            ("--stages", stages != "auto"), ("--cut", cut != nil), ("--nodes", nodes != nil),
        ]
        if let (option, _) = local.first(where: { $0.1 }) {
            throw ValidationError("\(option) does not go with --on-cluster, where the cluster decides it.")
        }
    }

    /// Asks the cluster what it would do.
    func runOnCluster() async throws {
        try await asked.ask { client in
            let file = ModelName(model ?? "")
            let (pinned, excluded) = (names(on), names(exclude))
            let ids = try await client.ids(of: pinned + excluded)
            let wish = DeployWish(
                model: file.model, name: file.name, replicas: replicas, context: ctx, lanes: lanes,
                pinned: Array(ids.prefix(pinned.count)), excluded: Array(ids.dropFirst(pinned.count)),
                draft: draft.map(DeployWish.draft), projector: mmproj.map(DeployWish.projector),
                cacheTypeK: cache.cacheTypeK, cacheTypeV: cache.cacheTypeV)
            let answer = try await client.send(.post, "/cluster/v1/plan", body: wish.body)
            let preview = try client.reading { () throws(MissingField) in try SeenPreview(answer.json) }
            if json {
                Output.line(answer.text)
            } else {
                for line in ClusterText.preview(preview) { Output.line(line) }
            }
            if !preview.fits { throw ExitCode(4) }
        }
    }
}
