package import Cluster
package import NIOSSL

/// How a node proves who it is, and learns who the other is.
///
/// The contexts are asked for anew for every connection, so a renewed certificate counts from the next one on.
package struct ChannelSecurity: Sendable {
    /// TLS of the accepting side; it MUST demand a certificate of the cluster's authority.
    ///
    /// **Throws:** when there is no certificate of this node; the connection is then closed.
    package let serverContext: @Sendable () throws -> NIOSSLContext
    /// TLS of the dialling side; it MUST trust the cluster's authority only.
    ///
    /// **Throws:** as `serverContext` does.
    package let clientContext: @Sendable () throws -> NIOSSLContext
    /// The node a verified certificate belongs to.
    ///
    /// **Throws:** with a sentence when it names none or is revoked.
    package let peer: @Sendable (NIOSSLCertificate) throws -> NodeID

    /// Puts the three together.
    package init(
        serverContext: @escaping @Sendable () throws -> NIOSSLContext,
        clientContext: @escaping @Sendable () throws -> NIOSSLContext,
        peer: @escaping @Sendable (NIOSSLCertificate) throws -> NodeID
    ) {
        self.serverContext = serverContext
        self.clientContext = clientContext
        self.peer = peer
    }
}
