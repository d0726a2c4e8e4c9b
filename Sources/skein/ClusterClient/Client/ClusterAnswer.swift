import Dialects

/// A node's answer to one request.
struct ClusterAnswer: Sendable {
    let status: Int
    /// The body as it came, for `--json`.
    let bytes: [UInt8]
    let json: JSONNode

    /// The body as text, as it came.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Tells an answer from a refusal, and both from what no node says.
    ///
    /// **Throws:** what it is when it is no answer.
    init(status: Int, bytes: [UInt8], from node: String, withKey hasKey: Bool) throws(ClusterClientError) {
        let json = try? JSONReader.read(bytes)
        let error = json?["error"]
        let message = error?["message"]?.string ?? error?.string
        guard (200..<300).contains(status) else {
            let code = error?["code"]?.string ?? ""
            switch status {
            case 401 where !hasKey && message != nil: throw .keyMissing(node)
            case 401, 403:
                guard let message else { break }
                throw .keyRefused(node, message: PrintableText.of(message))
            // The refusals of the cluster have no type; those of a path that does not exist do.
            case 404 where error?["type"] != nil: throw .noCluster(node)
            default: break
            }
            guard let message else { throw .foreign(node, finding: "status \(status) without a reason") }
            throw .refused(status: status, code: code, message: PrintableText.of(message))
        }
        guard let json, json.members != nil else {
            throw .foreign(node, finding: "status \(status) with something else than a JSON object")
        }
        self.status = status
        self.bytes = bytes
        self.json = json
    }
}
