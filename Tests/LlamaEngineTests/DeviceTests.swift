import Serving
import Testing

@testable import LlamaEngine

@Suite struct `Engine devices` {
    private static let devices = [
        EngineDevice(name: "CUDA0", about: "a card", compute: "cuda", isOffload: true, totalBytes: 1 << 34),
        EngineDevice(name: "CPU", about: "a processor", compute: "cpu", isOffload: false),
    ]

    @Test func `the CPU is always among them`() {
        let devices = EngineDevices.all()
        #expect(devices.contains { $0.compute == "cpu" && !$0.isOffload })
        #expect(Set(devices.map(\.name)).count == devices.count)
    }

    @Test func `a choice names devices that are there, or none`() {
        for names in [["CUDA0"], ["none"], ["CPU"]] {
            #expect(EngineDevices.objection(to: names, among: Self.devices) == nil, "\(names)")
        }
        for names in [["CUDA1"], ["CUDA0", "none"], [], ["cuda0"], ["CUDA0", ""]] {
            let objection = EngineDevices.objection(to: names, among: Self.devices)
            #expect(objection?.contains("none, CUDA0") == true, "\(names)")
        }
        #expect(EngineDevices.chosen(["none"], among: Self.devices).map(\.name) == ["CPU"])
        #expect(EngineDevices.chosen(["CUDA0"], among: Self.devices).map(\.name) == ["CUDA0", "CPU"])
        #expect(EngineDevices.chosen(nil, among: Self.devices).count == 2)
    }

    @Test func `the library's short name of Metal is written out`() {
        #expect(EngineDevices.compute(of: "MTL") == "metal")
        #expect(EngineDevices.compute(of: "CUDA") == "cuda")
    }

    @Test func `a model is not loaded for a device that is not there`() {
        var options = ModelOptions()
        options.devices = ["Missing7"]
        #expect {
            _ = try LlamaModel(path: "/nowhere.gguf", options: options).width
        } throws: { error in
            guard case EngineError.loadFailed(_, let reason) = error else { return false }
            return reason.contains("'Missing7'") && reason.contains("allowed: none")
        }
    }
}
