import Foundation
import Testing
import Vocabulary

@testable import Node

@Suite struct `Names made here` {
    private func variant(_ name: String, base: String = "tiny", system: String = "") -> ModelVariant {
        var variant = ModelVariant(name: name, base: base, created: 7)
        variant.system = system
        return variant
    }

    private func open(_ folder: String) -> ModelVariants { ModelVariants(dataFolder: folder, logger: Fixture.silence) }

    @Test func `they are there again after a restart`() async throws {
        try await Fixture.withFolder { folder in
            var rich = variant("rich", system: "Be brief. 👋")
            rich.parameters = [.init(name: "stop", value: #"["a"]"#)]
            rich.messages = [.init(role: .assistant, text: "Ho")]
            rich.digest = "ab"
            let first = open("\(folder)/data")
            #expect(first.all.isEmpty && first.setAside == nil)
            try first.update(keep: [rich, variant("plain")])
            try first.update(keep: [variant("plain", base: "other")], forget: ["nobody"])
            #expect(first.all.map(\.name) == ["plain", "rich"])
            let second = open("\(folder)/data")
            #expect(second.all == first.all && second.find("rich") == rich)
            #expect(second.find("plain:latest")?.base == "other" && second.find("plain:v1") == nil)
            try second.update(forget: ["rich"])
            #expect(open("\(folder)/data").find("rich") == nil)
        }
    }

    @Test(arguments: ["", "garbage", "skein variants 1 00\n[]", "skein variants 2 \n[]"])
    func `a damaged file is set aside and not lost`(content: String) async throws {
        try await Fixture.withFolder { folder in
            let path = "\(folder)/variants"
            try Data(content.utf8).write(to: URL(filePath: path))
            let variants = open(folder)
            let aside = try #require(variants.setAside)
            #expect(variants.all.isEmpty)
            #expect(try Data(contentsOf: URL(filePath: aside)) == Data(content.utf8))
            try variants.update(keep: [variant("mine")])
            #expect(open(folder).find("mine") != nil)
        }
    }

    @Test func `one changed byte is noticed`() async throws {
        try await Fixture.withFolder { folder in
            try open(folder).update(keep: [variant("mine", system: "Be brief.")])
            let path = "\(folder)/variants"
            var bytes = try Data(contentsOf: URL(filePath: path))
            bytes[bytes.count - 10] ^= 1
            try bytes.write(to: URL(filePath: path))
            #expect(open(folder).setAside != nil)
        }
    }

    @Test func `their number and size are bounded, and what is refused changes nothing`() async throws {
        try await Fixture.withFolder { folder in
            let variants = open(folder)
            try variants.update(keep: (0..<ModelVariants.limit).map { variant("m\($0)") })
            #expect {
                try variants.update(keep: [variant("more")])
            } throws: { error in
                if case .tooMany = error as? ModelVariants.Refusal { true } else { false }
            }
            try variants.update(keep: [variant("m0", base: "changed")])
            #expect {
                let long = String(repeating: "x", count: ModelVariants.variantBytes)
                try variants.update(keep: [variant("m1", system: long)])
            } throws: { error in
                if case .tooLarge = error as? ModelVariants.Refusal { true } else { false }
            }
            #expect(variants.all.count == ModelVariants.limit && variants.find("m1")?.system == "")
        }
    }

    @Test func `a folder that cannot be written to is said, and changes nothing`() async throws {
        try await Fixture.withFolder { folder in
            try Data().write(to: URL(filePath: "\(folder)/file"))
            let variants = open("\(folder)/file/below")
            #expect(throws: ModelVariants.Refusal.self) { try variants.update(keep: [variant("mine")]) }
            #expect(variants.all.isEmpty)
        }
    }
}
