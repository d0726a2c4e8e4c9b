import Cluster
import Foundation
import SwiftASN1
import Synchronization
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The identity of the node of one data directory, held for as long as this object lives: no second process, and no
/// second store in this one, can open the same directory.
///
/// **Isolation:** safe from any thread; writes are one after another.
package final class IdentityStore: Sendable {
    /// The folder with the files of the identity.
    package let folder: FilePath
    private let lock: FileDescriptor
    private let state: Mutex<State>

    private struct State {
        var identity: NodeIdentity
        var authority: ClusterAuthority?
    }

    private static let identityName = "identity.pem"
    private static let authorityName = "authority-key.pem"
    private static let lockName = "lock"
    private static let keyType = "PRIVATE KEY"

    /// Opens the identity in `dataDirectory`, and draws one when there is none.
    ///
    /// **Throws:** `IdentityError.inUse` when another process has it, `.damaged`, `.exposed` or `.lost` when its files
    /// are not as they were written, `.file` when the disk fails.
    package init(dataDirectory: FilePath, entropy: Entropy = .system) throws(IdentityError) {
        let folder = dataDirectory.appending("identity")
        try PrivateFiles.makeFolder(folder)
        let lock = try Self.lock(folder.appending(Self.lockName))
        do throws(IdentityError) {
            let identity: NodeIdentity
            let authority: ClusterAuthority?
            if let stored = try Self.readIdentity(in: folder) {
                identity = stored
                authority = try Self.readAuthority(in: folder, of: stored)
            } else {
                let other = folder.appending(Self.authorityName)
                guard try PrivateFiles.read(other) == nil else {
                    throw .lost(path: "\(folder.appending(Self.identityName))", remaining: "\(other)")
                }
                identity = NodeIdentity.draw(entropy)
                authority = nil
                try PrivateFiles.write(IdentityFile.text(of: identity), to: folder.appending(Self.identityName))
            }
            self.folder = folder
            self.lock = lock
            state = Mutex(State(identity: identity, authority: authority))
        } catch {
            try? lock.close()
            throw error
        }
    }

    deinit { try? lock.close() }

    /// Who this node is.
    package var identity: NodeIdentity { state.withLock { $0.identity } }

    /// Issues certificates; nil on nodes that hold no copy of the cluster's key.
    package var authority: ClusterAuthority? { state.withLock { $0.authority } }

    /// Founds a cluster with this node as its first member.
    ///
    /// **Throws:** `IdentityError.alreadyMember` when it has one, `.file` when the disk fails.
    package func found(
        _ cluster: ClusterID, now: WallTime, entropy: Entropy = .system
    ) throws(IdentityError) -> NodeCredentials {
        let identity = try unjoined()
        let authority = try ClusterAuthority.found(cluster, now: now, entropy: entropy)
        let certificate = try authority.issue(
            try identity.key.signingRequest(for: identity.node), for: identity.node, now: now, entropy: entropy)
        let credentials = try NodeCredentials(
            key: identity.key, certificate: certificate, authority: authority.certificate)
        try adopt(credentials, authority: authority)
        return credentials
    }

    /// Keeps what a join has brought.
    ///
    /// **Throws:** `IdentityError.alreadyMember` when the node is in a cluster, `.keyMismatch` when the credentials are
    /// of another node, `.file` when the disk fails.
    package func adopt(_ credentials: NodeCredentials, authority: ClusterAuthority?) throws(IdentityError) {
        let identity = try unjoined()
        guard credentials.node == identity.node, credentials.key.fingerprint == identity.key.fingerprint else {
            throw .keyMismatch(of: "node \(credentials.node)")
        }
        // The authority's key goes first: a crash in between leaves a key that belongs to no identity yet, which the
        // next start removes, rather than a member without the key it should have.
        if let authority { try write(authority) }
        try write(NodeIdentity(credentials))
        state.withLock { $0.authority = authority }
    }

    /// Replaces the node's credentials by those of a renewal.
    ///
    /// **Throws:** `IdentityError.keyMismatch` when they are of another node or cluster, `.file` when the disk fails.
    package func replace(_ credentials: NodeCredentials) throws(IdentityError) {
        let present = identity
        guard let old = present.credentials else { throw .notMember }
        guard credentials.node == present.node, credentials.authority == old.authority else {
            throw .keyMismatch(of: "node \(present.node) of cluster \(old.cluster)")
        }
        try write(NodeIdentity(credentials))
    }

    /// Keeps a copy of the cluster's key, for a node that may vote from now on.
    ///
    /// **Throws:** `IdentityError.notMember`, `.keyMismatch` for another cluster's, `.file` when the disk fails.
    package func keep(_ authority: ClusterAuthority) throws(IdentityError) {
        guard let credentials = identity.credentials else { throw .notMember }
        guard credentials.authority == authority.certificate else {
            throw .keyMismatch(of: "cluster \(credentials.cluster)")
        }
        try write(authority)
        state.withLock { $0.authority = authority }
    }

    /// Forgets the cluster and draws a new identity: a node that was removed can only come back as a new one.
    ///
    /// **Throws:** `IdentityError.file` when the disk fails.
    package func reset(entropy: Entropy = .system) throws(IdentityError) -> NodeIdentity {
        let fresh = NodeIdentity.draw(entropy)
        try begin(anew: fresh)
        return fresh
    }

    /// Leaves the cluster: copies of the identity's files stay as `NAME.left-N`, and `fresh` takes their place. Answers
    /// where the old identity is.
    ///
    /// **Throws:** `IdentityError.notMember` when there is no cluster to leave, `.file` when the disk fails.
    package func leave(for fresh: NodeIdentity = .draw()) throws(IdentityError) -> FilePath {
        guard identity.credentials != nil else { throw .notMember }
        let old = folder.appending(Self.identityName)
        var number = 1
        while number < Limits.leftIdentities, try PrivateFiles.read(Self.left(old, number)) != nil { number += 1 }
        for path in [old, folder.appending(Self.authorityName)] {
            if let text = try PrivateFiles.read(path) { try PrivateFiles.write(text, to: Self.left(path, number)) }
        }
        try begin(anew: fresh)
        return Self.left(old, number)
    }

    private static func left(_ path: FilePath, _ number: Int) -> FilePath { FilePath("\(path).left-\(number)") }

    /// A crash in between leaves a key that belongs to no identity, which the next start removes.
    private func begin(anew fresh: NodeIdentity) throws(IdentityError) {
        try write(fresh)
        try PrivateFiles.remove(folder.appending(Self.authorityName))
        state.withLock { $0.authority = nil }
    }

    /// The identity in a data directory, also while another process has it; nil when there is none.
    ///
    /// **Throws:** `IdentityError` when the file cannot be read.
    package static func peek(dataDirectory: FilePath) throws(IdentityError) -> NodeIdentity? {
        try readIdentity(in: dataDirectory.appending("identity"))
    }

    /// The process that has the identity of a data directory; nil when none has it.
    package static func holder(dataDirectory: FilePath) -> Int32? {
        let path = dataDirectory.appending("identity").appending(lockName)
        guard let file = try? FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow]) else {
            return nil
        }
        defer { try? file.close() }
        guard flock(file.rawValue, LOCK_SH | LOCK_NB) != 0, Errno(rawValue: errno) == .wouldBlock else { return nil }
        return (try? PrivateFiles.read(path)).flatMap { Int32($0.prefix { $0 != "\n" }) }
    }

    private func unjoined() throws(IdentityError) -> NodeIdentity {
        let identity = identity
        if let credentials = identity.credentials {
            throw .alreadyMember(of: credentials.cluster, node: identity.node)
        }
        return identity
    }

    private func write(_ identity: NodeIdentity) throws(IdentityError) {
        let path = folder.appending(Self.identityName)
        let result = state.withLock { state in
            Result { () throws(IdentityError) in
                try PrivateFiles.write(IdentityFile.text(of: identity), to: path)
                state.identity = identity
            }
        }
        try result.get()
    }

    private func write(_ authority: ClusterAuthority) throws(IdentityError) {
        let document = PEMDocument(type: Self.keyType, derBytes: authority.keyDER)
        try PrivateFiles.write(document.pemString + "\n", to: folder.appending(Self.authorityName))
    }
}

extension IdentityStore {
    private static func readIdentity(in folder: FilePath) throws(IdentityError) -> NodeIdentity? {
        let path = folder.appending(identityName)
        guard let text = try PrivateFiles.read(path) else { return nil }
        do { return try IdentityFile.parse(text) } catch {
            throw .damaged(path: "\(path)", finding: error.text)
        }
    }

    private static func readAuthority(
        in folder: FilePath, of identity: NodeIdentity
    ) throws(IdentityError) -> ClusterAuthority? {
        let path = folder.appending(authorityName)
        guard let text = try PrivateFiles.read(path) else { return nil }
        guard let credentials = identity.credentials else {
            // A join or a reset that was cut off: the key belongs to no identity of this node.
            try PrivateFiles.remove(path)
            return nil
        }
        guard let document = try? PEMDocument(pemString: text), document.discriminator == keyType else {
            throw .damaged(path: "\(path)", finding: "it holds no private key")
        }
        do { return try ClusterAuthority(certificate: credentials.authority, keyDER: document.derBytes) } catch {
            throw .damaged(path: "\(path)", finding: "\(error)")
        }
    }

    /// The lock is the kernel's, so it ends with the process, whatever ends that.
    private static func lock(_ path: FilePath) throws(IdentityError) -> FileDescriptor {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(
                path, .readWrite, options: [.create, .closeOnExec, .noFollow], permissions: .ownerReadWrite)
        } catch { throw .file(path: "\(path)", action: "open", reason: "\(error)") }
        guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            let number = Errno(rawValue: errno)
            try? file.close()
            guard number == .wouldBlock else { throw .file(path: "\(path)", action: "lock", reason: "\(number)") }
            let holder = try PrivateFiles.read(path).flatMap { Int32($0.prefix { $0 != "\n" }) }
            throw .inUse(path: "\(path)", process: holder.map { "process \($0)" } ?? "another process")
        }
        // Only a note for people; the lock itself does not depend on it.
        if ftruncate(file.rawValue, 0) == 0 { _ = try? file.writeAll(toAbsoluteOffset: 0, "\(getpid())\n".utf8) }
        return file
    }
}
