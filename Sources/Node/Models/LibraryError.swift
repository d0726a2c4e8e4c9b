import Cluster
import ModelStore

/// Why a model cannot be had.
enum LibraryError: Error, Sendable, CustomStringConvertible {
    /// No member that answers has the file.
    case nobodyHas(digest: String)
    /// The store of this node failed.
    case store(StoreError)
    /// Every member that has it failed to bring it.
    case notFetched(digest: String, reasons: [String])
    /// What a member told of the model cannot be.
    case implausible(NodeID, reason: String)
    /// A member sent bytes that are not the model's.
    case wrongBytes(NodeID, PartFault)
    /// A member has other digests of the model's blocks than were agreed on.
    case otherBlocks(NodeID, agreed: String, told: String)
    /// A member tells no digests of the model's blocks, as releases before this one.
    case unchecked(NodeID)
    /// All that have the model were wrong about it lately.
    case doubted(digest: String, [NodeID])

    /// One sentence with the next step.
    var description: String {
        switch self {
        case .nobodyHas(let digest):
            "No member that answers has the model \(digest.prefix(12))…; start the node that has the file."
        case .store(let error): error.description
        case .notFetched(let digest, let reasons):
            "The model \(digest.prefix(12))… could not be fetched: \(reasons.joined(separator: "; "))"
        case .implausible(let node, let reason): "Node \(node) told something impossible of a model: \(reason)."
        case .wrongBytes(let node, let fault):
            "Node \(node) sent wrong bytes of a model: \(fault); check the file and the disk there."
        case .otherBlocks(let node, let agreed, let told):
            "Node \(node) has other digests of the model's blocks (\(told.prefix(12))…) than were agreed on "
                + "(\(agreed.prefix(12))…); check the file there, or deploy the model again."
        case .unchecked(let node):
            "Node \(node) tells no digests by which parts of a model could be checked; update Skein there."
        case .doubted(let digest, let nodes):
            "Every member that has the model \(digest.prefix(12))… sent something wrong of it within the last "
                + "\(HolderDoubts.seconds / 60) minutes (\(nodes.map(\.description).joined(separator: ", "))); "
                + "check the files there."
        }
    }

    /// The member that was wrong, when it should not be asked for the model again.
    var culprit: NodeID? {
        switch self {
        case .implausible(let node, _), .wrongBytes(let node, _), .otherBlocks(let node, _, _): node
        case .nobodyHas, .store, .notFetched, .unchecked, .doubted: nil
        }
    }
}
