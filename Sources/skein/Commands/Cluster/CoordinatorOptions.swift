import ArgumentParser
import Etcd
import Node

/// What gives the leadership of the cluster and holds its log.
struct CoordinatorOptions: ParsableArguments {
    @Option(
        help: """
            Who decides which node leads: embedded (the nodes by majority), or etcd://HOST:PORT[,HOST:PORT…][/PREFIX] \
            (etcds:// with TLS), the same for all nodes. Default: SKEIN_COORDINATOR, or embedded.
            """)
    var coordinator: String?

    @Option(help: "PEM file with the authorities of an etcds:// coordinator. Default: the system's.")
    var coordinatorCa: String?

    @Flag(help: "Put this node's copy of its cluster into a coordinator that holds none: the move of a cluster there.")
    var seedCoordinator = false

    /// What was said, else what the environment says. A password is better said there: others on the machine see the
    /// command line.
    ///
    /// **Throws:** `ValidationError`.
    func apply(to settings: inout ClusterSettings, environment: [String: String]) throws(ValidationError) {
        func said(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let option = coordinator == nil ? "SKEIN_COORDINATOR" : "--coordinator"
        let text = coordinator ?? said("SKEIN_COORDINATOR") ?? "embedded"
        guard text != "embedded" else {
            guard !seedCoordinator, coordinatorCa == nil else {
                throw ValidationError("--seed-coordinator and --coordinator-ca need --coordinator etcd://HOST:PORT.")
            }
            return
        }
        do throws(EtcdAddressError) {
            var address = try EtcdAddress(text)
            if address.user != nil, address.password == nil { address.password = said("SKEIN_ETCD_PASSWORD") }
            settings.coordinator = address
        } catch {
            throw ValidationError("\(option): \(error)")
        }
        settings.seedsCoordinator = seedCoordinator
        if let coordinatorCa {
            do throws(EtcdError) {
                try EtcdCoordinator.check(authority: coordinatorCa)
            } catch {
                throw ValidationError(error.description)
            }
            settings.coordinatorAuthority = coordinatorCa
        }
    }
}
