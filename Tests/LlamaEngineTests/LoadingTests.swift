import Foundation
import GGUF
import LlamaEngine
import ModelStore
import Serving
import Synchronization
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Loading` {
        private static func refusal(_ path: String, _ options: ModelOptions = ModelOptions()) -> EngineError? {
            do throws(EngineError) {
                _ = try LlamaModel(path: path, options: options)
                return nil
            } catch {
                return error
            }
        }

        private static func withScratch(_ body: (URL) throws -> Void) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-engine-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try body(folder)
        }

        @Test func `a file that is not there or no model is refused in the library's words`() throws {
            try Self.withScratch { folder in
                let garbage = folder.appending(path: "garbage.gguf")
                try Data((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7) }).write(to: garbage)
                let headless = folder.appending(path: "headless.gguf")
                try Data(contentsOf: URL(filePath: BuiltinModel.path)).prefix(200_000).write(to: headless)
                for path in [folder.appending(path: "gone.gguf").path, garbage.path, headless.path] {
                    guard case .loadFailed(path, let reason) = Self.refusal(path) else {
                        Issue.record("not refused by its name: \(path)")
                        continue
                    }
                    #expect(reason.count > 20)
                    #expect(reason != "the library gave no reason")
                }
            }
        }

        @Test func `progress ascends to one, and answering no ends the load`() throws {
            var seen: [Float] = []
            _ = try LlamaModel(path: BuiltinModel.path) { fraction in
                seen.append(fraction)
                return true
            }
            #expect(seen == seen.sorted())
            #expect(seen.last == 1)
            do throws(EngineError) {
                _ = try LlamaModel(path: BuiltinModel.path) { _ in false }
                Issue.record("the load went on")
            } catch {
                #expect(error == .cancelled)
            }
        }

        @Test func `facts of the model and its memory are the file's`() throws {
            let header = try ModelFile(path: BuiltinModel.path).header
            let model = try BuiltinModel.shared
            #expect(model.model.width == 256)
            #expect(model.model.layerCount == 8)
            #expect(model.model.trainedContext == 2048)
            #expect(model.model.parameterCount == header.parameterCount)
            #expect(!model.model.hasEncoder && !model.model.isRecurrentOrHybrid)
            let stage = try EngineStage(lanes: 2, cells: 512)
            let memory = stage.engine.memory
            #expect(memory.weights.bytes >= header.tensorByteCount)
            #expect(memory.weights.bytes < header.tensorByteCount * 2)
            // K and V of every layer, 2 heads of 64, in blocks of 32 that take 34 bytes.
            let cells = UInt64(stage.engine.shape.cellCount)
            #expect(memory.cache.bytes == 2 * 8 * cells * 2 * 64 / 32 * 34)
            #expect(memory.compute.bytes > 0)
        }

        @Test func `a synthetic model of every family of shapes is loaded`() throws {
            try Self.withScratch { folder in
                for architecture in SynthesisArchitecture.allCases {
                    let path = folder.appending(path: "\(architecture).gguf").path
                    try ModelSynthesis.write(ModelShape(architecture), seed: 1, to: path)
                    #expect(Self.refusal(path) == nil, "\(architecture)")
                }
            }
        }

        @Test(arguments: [8, 300]) func `a stage may have more lanes than rows or cells`(cells: Int) throws {
            // The library once ended the process here.
            let stage = try EngineStage(lanes: 200, cells: cells, rows: 8)
            let shape = stage.engine.shape
            #expect(shape.laneCount == 200)
            #expect(shape.cellCount >= 200)
        }
    }
}
