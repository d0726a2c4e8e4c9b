#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How many files and connections this process may have open.
enum OpenFiles {
    /// Asks the system for at least `count`, as far as the hard limit allows; the usual 1024 are fewer than the
    /// connections a node answers. Returns how many there may be now.
    @discardableResult static func allow(_ count: UInt64) -> UInt64 {
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 0 }
        let wanted = min(max(UInt64(limit.rlim_cur), count), UInt64(limit.rlim_max))
        guard wanted > UInt64(limit.rlim_cur) else { return UInt64(limit.rlim_cur) }
        let before = UInt64(limit.rlim_cur)
        limit.rlim_cur = rlim_t(wanted)
        return setrlimit(resource, &limit) == 0 ? wanted : before
    }
}
