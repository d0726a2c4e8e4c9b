import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the system says about a socket, in words that need no book.
package enum SystemReason {
    /// `address already in use` for an error of the system, else what the error says of itself.
    package static func of(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode)).lowercased()
    }
}
