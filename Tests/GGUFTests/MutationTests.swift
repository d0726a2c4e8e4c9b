import Foundation
import GGUF
import Testing
import Vocabulary

/// Damages headers at random: blindly, and where lengths and counts are.
struct HeaderMutator {
    var random: SeededRandom
    /// Whole headers to start from and to splice.
    let seeds: [[UInt8]]

    private static let lengths: [UInt64] = [
        0, 1, 1 << 31 - 1, 1 << 31, 1 << 32 - 1, 1 << 32 + 1, 1 << 62, 1 << 63, .max, .max - 7, 65_536, 1 << 24,
    ]

    mutating func next() -> [UInt8] {
        var bytes = seeds[random.below(seeds.count)]
        for _ in 0...random.below(3) { mutate(&bytes) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let place = random.below(bytes.count)
        switch random.below(9) {
        case 0: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 2: bytes.removeLast(random.below(bytes.count))
        case 3: overwrite(&bytes, at: place, Self.lengths[random.below(Self.lengths.count)], count: 8)
        case 4: overwrite(&bytes, at: place, Self.lengths[random.below(Self.lengths.count)], count: 4)
        case 5: changeLength(&bytes)
        case 6:
            let other = seeds[random.below(seeds.count)]
            let start = random.below(other.count)
            let piece = other[start..<min(other.count, start + 1 + random.below(64))]
            bytes.insert(contentsOf: piece, at: place)
        case 7: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(32)))
        default:
            let end = min(bytes.count, place + 1 + random.below(64))
            bytes.insert(contentsOf: Array(bytes[place..<end]), at: end)
        }
    }

    private func overwrite(_ bytes: inout [UInt8], at place: Int, _ value: UInt64, count: Int) {
        for index in 0..<min(count, bytes.count - place) {
            bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
        }
    }

    /// Changes a field that looks like a length: eight bytes of which the upper six are zero.
    private mutating func changeLength(_ bytes: inout [UInt8]) {
        let start = random.below(bytes.count)
        guard bytes.count >= 8 else { return }
        for place in start..<max(start, bytes.count - 8) where bytes[place + 2..<place + 8].allSatisfy({ $0 == 0 }) {
            let old = UInt64(bytes[place]) | UInt64(bytes[place + 1]) << 8
            let new =
                switch random.below(3) {
                case 0: Self.lengths[random.below(Self.lengths.count)]
                case 1: old &+ 1
                default: old &- 1
                }
            return overwrite(&bytes, at: place, new, count: 8)
        }
    }
}

/// The most resident memory this process has ever had in bytes, nil where the system does not tell.
private func peakByteCount() -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
}

@Suite struct `Mutated headers` {
    /// The built-in model's header with a vocabulary of a few tokens and two of its layers.
    private static func smallModel(_ path: String) throws -> GGUFWriter {
        let file = try GGUFFile.parse(try repositoryFile(path))
        var writer = GGUFWriter(copying: file)
        for entry in file.metadata {
            guard let array = entry.value.array, array.count > 12 else { continue }
            writer.set(entry.key, .array(array.selecting(Array(0..<12))))
        }
        writer.set("tokenizer.chat_template", .text("{{ messages }}"))
        writer.set("\(file.architecture ?? "").block_count", .uint32(1))
        writer.tensors = file.tensors.filter { ($0.layerIndex ?? 0) < 1 && $0.name != "token_embd.weight" }
            .prefix(6).map { TensorPlan($0) }
        return writer
    }

    /// The headers to damage, by name; they are kept under Fuzz/gguf/seeds for the other fuzzer.
    private static func seeds() throws -> [(name: String, bytes: [UInt8])] {
        var tiny = GGUFWriter(
            metadata: [
                MetadataEntry(key: "general.architecture", value: .text("llama")),
                MetadataEntry(key: "llama.block_count", value: .uint32(1)),
            ],
            tensors: [
                TensorPlan(name: "blk.0.a", dimensions: [32, 2], type: .q8_0),
                TensorPlan(name: "blk.0.b", dimensions: [], type: .f32),
            ])
        var seeds: [(String, [UInt8])] = []
        seeds.append(("tiny", try tiny.header() + [UInt8](repeating: 0, count: 128)))
        seeds.append(("every-type", try sampleHeader() + [UInt8](repeating: 0, count: 768)))
        // Without its data, which would only slow the loop down: accepted where no data is expected.
        seeds.append(("small-qwen3", try smallModel("Models/skein-tiny-q8_0.gguf").header()))
        tiny.set("general.alignment", .uint32(8))
        seeds.append(("aligned", try tiny.header() + [UInt8](repeating: 0, count: 80)))
        tiny.version = 2
        tiny.tensors = []
        seeds.append(("version-2", try tiny.header()))
        return seeds
    }

    @Test func `the seeds of the other fuzzer are the same bytes`() throws {
        for (name, bytes) in try Self.seeds() {
            let path = "Fuzz/gguf/seeds/\(name).gguf"
            if ProcessInfo.processInfo.environment["WRITE_GOLDEN"] != nil {
                try Data(bytes).write(to: repositoryRoot.appending(path: path))
            }
            #expect(try repositoryFile(path).bytes == bytes)
        }
    }

    /// What every accepted file must obey.
    private func checkInvariants(_ file: GGUFFile, byteCount: UInt64, expectingData: Bool) -> Bool {
        var end: UInt64 = 0
        for tensor in file.tensors {
            guard tensor.offset >= end, tensor.offset % file.alignment == 0 else { return false }
            end = tensor.offset + tensor.byteCount
            guard file.tensor(named: tensor.name) == tensor, tensor.dimensions.count <= 4 else { return false }
            guard tensor.rowByteCount * tensor.rowCount == tensor.byteCount else { return false }
        }
        for entry in file.metadata where file[entry.key] != entry.value { return false }
        return file.headerByteCount <= file.dataOffset && file.dataOffset <= byteCount
            && (!expectingData || file.dataOffset + end <= byteCount) && (file.layerCount ?? 0) <= 512
    }

    @Test func `a hundred thousand damaged headers are each accepted soundly or refused`() throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["SEED"].flatMap { UInt64($0) } ?? 20_261_121
        let count = environment["MUTATIONS"].flatMap { Int($0) } ?? 100_000
        print("SEED=\(seed)")
        var mutator = HeaderMutator(random: SeededRandom(seed: seed), seeds: try Self.seeds().map(\.bytes))
        var accepted = 0
        var reasons: Set<String> = []
        for number in 0..<count {
            let bytes = mutator.next()
            let expectingData = number % 2 == 0
            do throws(GGUFError) {
                let file = try GGUFFile.parse(ByteArraySource(bytes), expectingData: expectingData)
                accepted += 1
                let isSound = checkInvariants(file, byteCount: UInt64(bytes.count), expectingData: expectingData)
                #expect(isSound, "mutation \(number) of SEED=\(seed)")
                // Costly ones now and then: the file survives a rewrite, and its findings can be made.
                if number % 16 == 0 {
                    let copy = try GGUFWriter(copying: file).layout().file
                    #expect(copy == file, "mutation \(number) of SEED=\(seed)")
                    _ = file.validate()
                }
            } catch {
                guard number % 8 == 0 else { continue }
                reasons.insert(Mirror(reflecting: error).children.first?.label ?? "?")
                #expect(error.description.count > 20)
            }
        }
        // The mutations must reach deep: neither all refused, nor all accepted, nor all for one reason.
        #expect(accepted > count / 50 && accepted < count)
        #expect(reasons.count >= 8)
        print("MUTATIONS=\(count) ACCEPTED=\(accepted) KINDS=\(reasons.count)")
    }

    /// The most that thousands of damaged headers of a few kilobytes may add to a process.
    private static let growthMax = 200 << 20

    /// What reading and judging damaged headers adds to the most memory this process has had. **Units:** bytes; nil
    /// where the system does not tell.
    private static func growth(count: Int) throws -> Int? {
        var mutator = HeaderMutator(random: SeededRandom(seed: seedFromEnvironment()), seeds: try seeds().map(\.bytes))
        let before = peakByteCount()
        for number in 0..<count {
            let source = ByteArraySource(mutator.next())
            guard let file = try? GGUFFile.parse(source, expectingData: number % 2 == 0) else { continue }
            _ = file.validate()
            _ = try? GGUFWriter(copying: file).layout()
        }
        return peakByteCount().map { $0 - (before ?? 0) }
    }

    @Test func `damaged headers take no memory that they do not fill`() async {
        // In a process of its own, because what is measured is a whole process.
        await #expect(processExitsWith: .success) {
            guard let growth = try Self.growth(count: 10_000) else { return }
            guard growth < Self.growthMax else {
                print("10,000 damaged headers took \(growth >> 20) MiB, more than \(Self.growthMax >> 20)")
                exit(EXIT_FAILURE)
            }
        }
    }
}
