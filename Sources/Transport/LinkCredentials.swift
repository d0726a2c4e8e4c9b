import NIOCore
package import NIOSSL

/// What proves to other members, on links between machines, whose runner this is.
///
/// **Encoding:** DER throughout, so that a node can hand it to its runners.
package struct LinkCredentials: Hashable, Sendable, Codable {
    /// The node's certificate, then the cluster's.
    package var chain: [[UInt8]]
    /// The node's private key.
    package var key: [UInt8]
    /// The cluster's certificate: the only root that is trusted.
    package var authority: [UInt8]

    /// Puts key and certificates together.
    package init(chain: [[UInt8]], key: [UInt8], authority: [UInt8]) {
        self.chain = chain
        self.key = key
        self.authority = authority
    }

    /// TLS for one side: both show certificates of the cluster, and the dialled one that of the node that was meant.
    ///
    /// **Throws:** `LinkClosure.failed` when the TLS library cannot read one of the parts.
    package func configuration(dialling: Bool) throws(LinkClosure) -> TLSConfiguration {
        do {
            let chain = try chain.map {
                NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
            }
            let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(bytes: key, format: .der))
            var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
            if dialling {
                configuration = .makeClientConfiguration()
                configuration.certificateChain = chain
                configuration.privateKey = key
            }
            configuration.minimumTLSVersion = .tlsv13
            configuration.trustRoots = .certificates([try NIOSSLCertificate(bytes: authority, format: .der)])
            configuration.certificateVerification = dialling ? .fullVerification : .noHostnameVerification
            configuration.shutdownTimeout = .seconds(1)
            return configuration
        } catch {
            throw .failed(reason: "the node's certificate cannot be used: \(error)")
        }
    }
}

/// Where a link goes: an address, and for another machine the name its certificate must have.
package struct LinkTarget: Hashable, Sendable, Codable, CustomStringConvertible {
    /// Where to connect.
    package var address: LinkAddress
    /// Name in the certificate that must answer; nil on this machine, where links are in the clear.
    package var serverName: String?

    /// Makes a target.
    package init(_ address: LinkAddress, serverName: String? = nil) {
        self.address = address
        self.serverName = serverName
    }

    /// The address.
    package var description: String { address.description }
}
