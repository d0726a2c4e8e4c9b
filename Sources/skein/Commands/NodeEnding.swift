import ArgumentParser
import Cluster
import Fabric
import Gateway
import Identity
import Node

/// How a node that cannot start or go on is told to people: one sentence and an exit code.
enum NodeEnding {
    /// Runs a node; what it throws is told.
    ///
    /// **Throws:** `ExitCode`: 2 for what the command line can mend, that of `JoinError` when the identity cannot be
    /// used or a cluster does not let the node in, else 1.
    static func reported(listen: String, _ run: () async throws -> Void) async throws {
        do {
            try await run()
        } catch let error as ExposureError {
            throw told(error, 2)
        } catch let error as KeyBookError {
            throw told(error, 1)
        } catch let error as DeploymentError {
            if case .setting = error { throw told(error, 2) }
            throw told(error, 1)
        } catch let error as JoinError {
            throw told(error, error.exitCode.rawValue)
        } catch let error as IdentityError {
            throw told(error, JoinError.identity(error).exitCode.rawValue)
        } catch let error as StoreFailure {
            throw told(error, 1)
        } catch let error as FabricError {
            throw told(error, 2)
        } catch {
            Output.error(
                "cannot serve at \(listen): \(SystemReason.of(error)); stop what is there, perhaps another skein "
                    + "serve, or choose another --listen HOST:PORT.")
            throw ExitCode(1)
        }
    }

    private static func told(_ error: some CustomStringConvertible, _ code: Int32) -> ExitCode {
        Output.error("\(error)")
        return ExitCode(code)
    }
}
