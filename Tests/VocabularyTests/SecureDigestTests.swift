import Testing
import Vocabulary

@Suite struct `Digests of the pure core` {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `are those of the standard's examples`(text: String, digest: String) {
        #expect(Hexadecimal.text(SecureDigest.of(Array(text.utf8))) == digest)
    }

    @Test func `of every length around a block differ`() {
        let digests = (0..<200).map { SecureDigest.of(Array(repeating: 7, count: $0)) }
        #expect(Set(digests).count == 200)
        let million = SecureDigest.of(Array(repeating: UInt8(ascii: "a"), count: 1_000_000))
        #expect(
            Hexadecimal.text(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `give sequences of different tokens different keys`() {
        let sequences: [[Token]] = [[], [0], [0, 0], [1], [256], [-1], [1, 2], [2, 1]]
        #expect(Set(sequences.map { SequenceKey(of: $0) }).count == sequences.count)
        let key = SequenceKey(of: [1, 2])
        #expect(SequenceKey(bytes: key.bytes) == key)
        #expect(SequenceKey(bytes: Array(key.bytes.dropLast())) == nil)
    }
}
