/// Bounds of what is asked of an etcd and taken from it.
package enum EtcdLimits {
    /// Endpoints of one etcd.
    package static let endpoints = 16
    /// Longest address, and longest prefix of the keys. **Units:** bytes.
    package static let addressBytes = 2048, prefixBytes = 128
    /// Largest answer: a page of the log, in base64. **Units:** bytes.
    static let answerBytes = 16 << 20
    /// Keys of the log in one answer; each is at most some 800 KiB.
    static let keysPerPage = 8
    /// Entries behind the snapshot that are read.
    static let entries = 32768
    /// One value of a snapshot; etcd takes 1.5 MiB at once. **Units:** bytes.
    static let pieceBytes = 512 << 10
    /// Pieces of the largest snapshot.
    static let pieces = 128
    /// Until an endpoint has taken a connection. **Units:** milliseconds.
    static let connectMilliseconds: Int64 = 1000
    /// Until an endpoint has answered. **Units:** milliseconds.
    static let answerMilliseconds: Int64 = 1500
    /// Tries of one call, over all endpoints; the time of all stays below the patience of who asks.
    static let tries = 3
}
