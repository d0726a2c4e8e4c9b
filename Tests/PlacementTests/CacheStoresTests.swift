import GGUF
import Placement
import Testing
import Vocabulary

@Suite struct `What a cache is stored in` {
    private static func stores(
        _ architecture: SynthesisArchitecture = .llama, _ change: (inout ModelShape) -> Void = { _ in }
    ) throws -> CacheStores {
        var shape = ModelShape(architecture)
        change(&shape)
        return try Models.footprint(shape).stores
    }

    @Test(arguments: [(128, CacheFormat.q8_0), (64, .q8_0), (96, .q8_0), (80, .f16), (48, .f16)])
    func `is q8_0 where heads fill its blocks`(headSize: Int, format: CacheFormat) throws {
        let stores = try Self.stores { $0.headSize = headSize }
        #expect(stores.standard == format)
        #expect(stores.chosen(keys: nil, values: nil) == (format, format))
        #expect(stores.obstacle(keys: format, values: format) == nil)
        #expect(stores.chosen(keys: .f16, values: nil) == (.f16, format))
        #expect((stores.obstacle(keys: .q4_0, values: .f16)?.field == "cache-type-k") == (format == .f16))
        #expect((stores.obstacle(keys: .f16, values: .q5_1)?.field == "cache-type-v") == (format == .f16))
    }

    @Test func `is one for keys and values of latent attention`() throws {
        let stores = try Self.stores(.deepseek2)
        #expect(stores.chosen(keys: .f32, values: nil) == (.f32, .f32))
        #expect(stores.chosen(keys: nil, values: .f32) == (.f32, .f32))
        #expect(stores.obstacle(keys: .f32, values: .f32) == nil)
        #expect(stores.obstacle(keys: .f32, values: .f16)?.value == "f16")
    }
}
