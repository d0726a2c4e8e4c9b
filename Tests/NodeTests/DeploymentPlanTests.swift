import Foundation
import GGUF
import ModelStore
import Runner
import Serving
import Testing
import Vocabulary

@testable import Node

@Suite struct `Deployment plans` {
    @Test(arguments: [1, 2, 3, 8])
    func `a model is cut into stages of even weight and every stage gets its file`(count: Int) async throws {
        try await Fixture.withFolder { folder in
            let plan = try Fixture.plan(in: folder) { $0.cutting = .stages(count) }
            let sizes = plan.cut.stages.map(\.count)
            #expect(sizes.count == count)
            #expect(sizes.reduce(0, +) == 8)
            // The last stage has the head, a quarter of which weighs less than half a layer.
            let expected = [1: [8], 2: [4, 4], 3: [3, 3, 2], 8: Array(repeating: 1, count: 8)]
            #expect(sizes == expected[count])
            #expect(plan.files.count == count)
            #expect(Set(plan.files.map(\.path)).count == count)
            for file in plan.files { #expect(FileManager.default.fileExists(atPath: file.path)) }
            if count == 1 {
                // A model that is not cut is not copied either.
                #expect(plan.files[0].path == Fixture.model)
                #expect(plan.files[0].pin == nil)
            }
            #expect(plan.card.layerCount == 8)
            #expect(plan.card.servedContext == 512)
            let configurations = plan.runnerConfigurations(
                cluster: "c", placement: "p", epoch: Epoch(term: 1, number: 4), folder: "/tmp/f")
            #expect(configurations.allSatisfy { $0.prefixReuse == .beginnings && $0.shelfCount == 8 })
            #expect(configurations.map(\.stageIndex) == Array(0..<count))
            #expect(configurations.allSatisfy { $0.stages == plan.cut.stages && $0.modelDigest == plan.card.digest })
            #expect(Set(configurations.map(\.listen)).count == count)
            #expect(configurations.allSatisfy { $0.cellCount == 512 && $0.threads == 1 })
        }
    }

    @Test func `the cache is stored as asked, in q8_0 where nobody says, and in f16 where heads fill no blocks`()
        async throws
    {
        try await Fixture.withFolder { folder in
            func stored(_ change: (inout DeploymentSpec) -> Void) throws -> [CacheFormat] {
                let told = try Fixture.plan(in: folder) {
                    $0.cutting = .stages(2)
                    change(&$0)
                }.runnerConfigurations(
                    cluster: "c", placement: "p", epoch: Epoch(term: 1, number: 4), folder: "/tmp/f")
                #expect(told.count == 2)
                #expect(told.allSatisfy { $0.keyType == told[0].keyType && $0.valueType == told[0].valueType })
                return [told[0].keyType, told[0].valueType]
            }
            #expect(try stored { _ in } == [.q8_0, .q8_0])
            #expect(try stored { $0.keyType = .f16 } == [.f16, .q8_0])
            #expect(try stored { ($0.keyType, $0.valueType) = (.bf16, .q4_0) } == [.bf16, .q4_0])
            var shape = ModelShape(.llama)
            (shape.headSize, shape.width, shape.headCount, shape.headCountKV) = (48, 192, 4, 2)
            let narrow = "\(folder)/narrow.gguf"
            try ModelSynthesis.write(shape, seed: 1, to: narrow)
            #expect(try stored { $0.path = narrow } == [.f16, .f16])
            // Together the heads of a cell would fill them.
            do throws(DeploymentError) {
                _ = try Fixture.plan(in: folder) { ($0.path, $0.valueType) = (narrow, .q8_0) }
                Issue.record("heads of 48 are stored in blocks of 32")
            } catch {
                guard case .setting("cache-type-v", "q8_0", let limit) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(limit.contains("48") && limit.contains("32"))
            }
        }
    }

    @Test func `a chosen cut is taken as it is`() async throws {
        try await Fixture.withFolder { folder in
            let plan = try Fixture.plan(in: folder) { $0.cutting = .boundaries([1, 7]) }
            #expect(plan.cut.description == "[0,1) [1,7) [7,8)")
        }
    }

    @Test func `the window is the trained one unless another is asked for`() async throws {
        try await Fixture.withFolder { folder in
            let trained = try Fixture.plan(in: folder) { $0.window = nil }
            #expect(trained.card.servedContext == 2048)
            let chosen = try Fixture.plan(in: folder) { $0.window = 4096 }
            #expect(chosen.card.servedContext == 4096)
        }
    }

    @Test func `settings outside their limits are refused by name, value and limit`() async throws {
        let wrong: [(name: String, value: String, change: @Sendable (inout DeploymentSpec) -> Void)] = [
            ("stages", "0", { $0.cutting = .stages(0) }), ("stages", "9", { $0.cutting = .stages(9) }),
            ("stages", "-1", { $0.cutting = .stages(-1) }), ("cut", "8", { $0.cutting = .boundaries([8]) }),
            ("cut", "0,4", { $0.cutting = .boundaries([0, 4]) }), ("cut", "5,3", { $0.cutting = .boundaries([5, 3]) }),
            ("lanes", "0", { $0.laneCount = 0 }), ("lanes", "257", { $0.laneCount = 257 }),
            ("ctx", "1", { $0.window = 1 }), ("ctx", "\(1 << 25)", { $0.window = 1 << 25 }),
        ]
        try await Fixture.withFolder { folder in
            for (name, value, change) in wrong {
                do throws(DeploymentError) {
                    _ = try Fixture.plan(in: folder, change)
                    Issue.record("\(name) \(value) is accepted")
                } catch {
                    guard case .setting(name, value, let limit) = error else {
                        Issue.record("\(name) \(value): \(error)")
                        continue
                    }
                    #expect(!limit.isEmpty)
                }
            }
        }
    }

    @Test func `a file that cannot be served is refused in words`() async throws {
        try await Fixture.withFolder { folder in
            let text = "\(folder)/text.gguf"
            try Data("no model".utf8).write(to: URL(filePath: text))
            for path in ["\(folder)/gone.gguf", text, folder] {
                do throws(DeploymentError) {
                    _ = try Fixture.plan(in: folder) { $0.path = path }
                    Issue.record("\(path) is accepted")
                } catch {
                    guard case .store(let reason) = error else {
                        Issue.record("\(path): \(error)")
                        continue
                    }
                    #expect(reason.contains(path))
                }
            }
        }
    }
}

@Suite struct `How a deployment guesses` {
    private static func entry(
        _ drafting: DeploymentSpec.Drafting, in folder: String
    ) throws -> (entry: RunnerConfiguration, last: RunnerConfiguration) {
        let plan = try Fixture.plan(in: folder) {
            $0.cutting = .stages(2)
            $0.drafting = drafting
        }
        let all = plan.runnerConfigurations(
            cluster: "c", placement: "p", epoch: Epoch(term: 1, number: 1), folder: folder)
        return (all[0], all[1])
    }

    @Test func `the built-in model brings its draft model, to the entry stage alone`() async throws {
        try await Fixture.withFolder { folder in
            let (entry, last) = try Self.entry(.auto, in: folder)
            #expect(entry.speculation == .auto)
            let path = try #require(entry.draftPath)
            let shipped = Fixture.model.replacingOccurrences(of: "skein-tiny-q8_0", with: "skein-tiny-draft-q8_0")
            #expect(FileManager.default.contentsEqual(atPath: path, andPath: shipped))
            #expect(last.draftPath == nil)
            for drafting in [DeploymentSpec.Drafting.ngram, .off] {
                #expect(try Self.entry(drafting, in: folder).entry.draftPath == nil)
            }
            let named = try Self.entry(.model(path: path), in: folder).entry
            #expect(named.speculation == .draft)
            #expect(named.draftPath == path)
        }
    }

    @Test func `a file that cannot guess is refused by name`() async throws {
        try await Fixture.withFolder { folder in
            let path = "\(folder)/no.gguf"
            try Data("no model".utf8).write(to: URL(filePath: path))
            do throws(DeploymentError) {
                _ = try Fixture.plan(in: folder) { $0.drafting = .model(path: path) }
                Issue.record("taken")
            } catch {
                #expect("\(error)".contains(path))
                #expect("\(error)".contains("--draft"))
            }
        }
    }
}

@Suite struct `Restart policy` {
    private static func second(_ second: Int64) -> Instant { Instant(nanoseconds: second * 1_000_000_000) }

    @Test func `the first crash is mended at once, the second a little later, the third not`() {
        var policy = RestartPolicy()
        #expect(policy.crashed(at: Self.second(10)) == .restart(after: .zero))
        #expect(policy.crashed(at: Self.second(20)) == .restart(after: .seconds(1)))
        #expect(policy.crashed(at: Self.second(30)) == .giveUp(crashes: 3, within: .seconds(60)))
    }

    @Test func `crashes are forgotten after the window, and not before`() {
        var policy = RestartPolicy()
        #expect(policy.crashed(at: Self.second(0)) == .restart(after: .zero))
        #expect(policy.crashed(at: Self.second(60)) == .restart(after: .seconds(1)))
        #expect(policy.crashed(at: Self.second(61)) == .restart(after: .seconds(1)))
        #expect(policy.crashed(at: Self.second(120)) == .giveUp(crashes: 3, within: .seconds(60)))
        var patient = RestartPolicy()
        for minute in 0..<100 as Range<Int64> {
            #expect(patient.crashed(at: Self.second(minute * 61)) == .restart(after: .zero))
        }
    }
}
