import Foundation
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Small files that nobody else may read, replaced as a whole or not at all.
enum PrivateFiles {
    private static let groupAndOthers: UInt32 = 0o077

    static func makeFolder(_ folder: FilePath) throws(IdentityError) {
        var partial = FilePath()
        partial.root = folder.root
        for component in folder.components {
            partial.append(component)
            if mkdir(partial.string, 0o700) != 0, errno != EEXIST {
                throw .file(path: "\(partial)", action: "make", reason: "\(Errno(rawValue: errno))")
            }
        }
    }

    /// The text of a file, nil when there is none.
    static func read(_ path: FilePath) throws(IdentityError) -> String? {
        var facts = stat()
        guard lstat(path.string, &facts) == 0 else {
            let number = Errno(rawValue: errno)
            if number == .noSuchFileOrDirectory { return nil }
            throw .file(path: "\(path)", action: "read", reason: "\(number)")
        }
        guard facts.st_mode & S_IFMT == S_IFREG else {
            throw .damaged(path: "\(path)", finding: "it is no regular file")
        }
        guard UInt32(facts.st_mode) & groupAndOthers == 0 else {
            throw .exposed(path: "\(path)", mode: UInt32(facts.st_mode) & 0o777)
        }
        guard facts.st_size <= Limits.fileBytes else {
            throw .damaged(path: "\(path)", finding: "it has \(facts.st_size) bytes, the limit is \(Limits.fileBytes)")
        }
        let bytes: Data
        do { bytes = try Data(contentsOf: URL(filePath: path.string)) } catch {
            throw .file(path: "\(path)", action: "read", reason: "\(error)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .damaged(path: "\(path)", finding: "it is not text")
        }
        return text
    }

    /// Replaces a file: after a loss of power it has the old content or the new one.
    static func write(_ text: String, to path: FilePath) throws(IdentityError) {
        let temporary = FilePath("\(path).new")
        do {
            // What a crash left behind may have other permissions.
            unlink(temporary.string)
            let file = try FileDescriptor.open(
                temporary, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: .ownerReadWrite)
            do {
                try file.writeAll(text.utf8)
                guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
            } catch {
                try? file.close()
                throw error
            }
            try file.close()
            guard rename(temporary.string, path.string) == 0 else { throw Errno(rawValue: errno) }
            try sync(path.removingLastComponent())
        } catch {
            unlink(temporary.string)
            throw .file(path: "\(path)", action: "write", reason: "\(error)")
        }
    }

    static func remove(_ path: FilePath) throws(IdentityError) {
        guard unlink(path.string) == 0 || errno == ENOENT else {
            throw .file(path: "\(path)", action: "remove", reason: "\(Errno(rawValue: errno))")
        }
        do { try sync(path.removingLastComponent()) } catch {
            throw .file(path: "\(path)", action: "remove", reason: "\(error)")
        }
    }

    /// A renamed file lasts only when its folder is on disk too.
    private static func sync(_ folder: FilePath) throws {
        let opened = try FileDescriptor.open(folder, .readOnly, options: [.directory, .closeOnExec])
        defer { try? opened.close() }
        guard fsync(opened.rawValue) == 0 else { throw Errno(rawValue: errno) }
    }
}
