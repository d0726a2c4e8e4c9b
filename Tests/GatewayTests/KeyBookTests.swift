import Foundation
import Testing
import Vocabulary

@testable import Gateway

/// Numbers that a test can tell in advance.
struct CountingGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

extension APIKey {
    /// A key whose text is `secret`.
    static func of(
        _ secret: String, name: String? = nil, scopes: Set<KeyScope> = [.inference], expires: Int64? = nil,
        requestsPerMinute: Int? = nil, tokensPerMinute: Int? = nil
    ) -> APIKey {
        APIKey(
            name: name ?? secret, digest: KeySecret.digest(of: secret), scopes: scopes, created: 5, expires: expires,
            requestsPerMinute: requestsPerMinute, tokensPerMinute: tokensPerMinute)
    }
}

extension KeyBook {
    static func of(_ keys: APIKey...) throws -> KeyBook {
        var book = KeyBook()
        for key in keys { try book.add(key) }
        return book
    }
}

@Suite struct `Keys` {
    @Test func `a key is 32 random bytes behind a prefix, and kept as the digest of its text`() throws {
        var generator = CountingGenerator(state: 7)
        let secrets = (0..<64).map { _ in KeySecret.make(using: &generator) }
        #expect(Set(secrets).count == 64)
        for secret in secrets {
            #expect(secret.hasPrefix("sk-skein-") && secret.utf8.count == 9 + 43)
            let padded = secret.dropFirst(9).replacing("-", with: "+").replacing("_", with: "/") + "="
            #expect(Data(base64Encoded: String(padded))?.count == 32)
        }
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(Hexadecimal.text(KeySecret.digest(of: "abc")) == digest)
        let record = String(decoding: try KeyBook.of(.of(secrets[0], name: "x")).json, as: UTF8.self)
        #expect(!record.contains(secrets[0]) && record.contains("sha256"))
    }

    @Test func `a file says again what was written`() throws {
        var book = try KeyBook.of(
            .of("a"), .of("b", scopes: [.admin, .operate], expires: 99, requestsPerMinute: 6, tokensPerMinute: 7000))
        _ = try book.revoke("a", at: 50)
        #expect(try KeyBook(json: book.json, path: "k") == book)
        #expect(try KeyBook(json: KeyBook().json, path: "k") == KeyBook())
    }

    @Test func `a damaged file is named, whatever is wrong with it`() throws {
        let good = String(decoding: try KeyBook.of(.of("a"), .of("b")).json, as: UTF8.self)
        let bad = [
            "", "[]", "{}", #"{"version":2,"keys":[]}"#, #"{"version":1}"#, #"{"version":1,"keys":[{}]}"#,
            good.replacing("\"a\"", with: "\"b\""), good.replacing("inference", with: "everything"),
            good.replacing("\"created\":5", with: "\"created\":\"5\""),
            good.replacing("\"revoked\":null", with: "\"revoked\":true"), String(good.dropLast()),
        ]
        for text in bad {
            #expect(throws: KeyBookError.self, "\(text)") { try KeyBook(json: Array(text.utf8), path: "/x/keys.json") }
            do {
                _ = try KeyBook(json: Array(text.utf8), path: "/x/keys.json")
            } catch {
                #expect(error.description.contains("/x/keys.json"))
            }
        }
    }

    @Test func `a key is found by its whole digest only`() throws {
        let book = try KeyBook.of(.of("a"), .of("b"), .of("c"))
        #expect(book.key(digest: KeySecret.digest(of: "b"))?.name == "b")
        for place in 0..<32 {
            var digest = KeySecret.digest(of: "b")
            digest[place] ^= 1
            #expect(book.key(digest: digest) == nil)
        }
        #expect(book.key(digest: []) == nil)
        #expect(book.key(digest: Array(KeySecret.digest(of: "b").dropLast())) == nil)
    }

    @Test func `a name belongs to one key until that is revoked`() throws {
        var book = try KeyBook.of(.of("a", name: "ci"))
        #expect(throws: KeyBookError.nameTaken(name: "ci")) { try book.add(.of("b", name: "ci")) }
        #expect(try book.revoke("ci", at: 9).revoked == 9)
        try book.add(.of("b", name: "ci"))
        // The name means the one in use; the identity means one for ever.
        let first = book.keys[0].id
        #expect(try book.revoke("ci", at: 10).digest == KeySecret.digest(of: "b"))
        #expect(try book.revoke(first, at: 11).revoked == 9)
        #expect(throws: KeyBookError.unknown(name: "x")) { try book.revoke("x", at: 1) }
        #expect(!book.hasValidKey(at: 5))
    }

    @Test func `what no key is like is refused`() {
        var book = KeyBook()
        for key in [
            APIKey.of("a", name: ""), .of("a", name: "a\nb"), .of("a", name: String(repeating: "x", count: 65)),
            .of("a", scopes: []), .of("a", requestsPerMinute: 0), .of("a", tokensPerMinute: 1_000_000_001),
        ] {
            #expect(throws: KeyBookError.self, "\(key)") { try book.add(key) }
        }
    }

    @Test func `their number is bounded`() throws {
        var book = KeyBook()
        for number in 0..<Limits.keys { try book.add(.of("\(number)")) }
        #expect(throws: KeyBookError.full(limit: Limits.keys)) { try book.add(.of("one more")) }
        #expect(book.json.count < Limits.keyFileBytes)
    }

    @Test func `a key ends at its time`() {
        let key = APIKey.of("a", expires: 100)
        #expect(key.standing(at: 99) == .valid && key.standing(at: 100) == .expired)
        #expect(APIKey.of("a").standing(at: .max) == .valid)
    }
}
