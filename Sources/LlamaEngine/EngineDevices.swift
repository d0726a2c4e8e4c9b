import CLlama
import Serving

/// A device the engine library can compute on.
package struct EngineDevice: Hashable, Sendable, Codable {
    /// The library's name for it: `CPU`, `CUDA0`, `Vulkan1`, …
    package var name: String
    /// What it is, for people.
    package var about: String
    /// What computes there: `cpu`, `cuda`, `metal`, `vulkan`, …
    package var compute: String
    /// Whether layers are moved there from the CPU, so that it can be chosen.
    package var isOffload: Bool
    /// Its memory in all; nil when it does not tell. **Units:** bytes.
    package var totalBytes: UInt64?
    /// Whether weights are packed anew for it, for matrix tiles.
    package var tilesWeights = false

    /// Describes a device.
    package init(name: String, about: String, compute: String, isOffload: Bool, totalBytes: UInt64? = nil) {
        self.name = name
        self.about = about
        self.compute = compute
        self.isOffload = isOffload
        self.totalBytes = totalBytes
    }
}

/// Which devices a stage may use.
package enum EngineDevices {
    /// Names that mean: move nothing, compute on the CPU.
    private static let hostNames = ["none", "cpu"]

    /// The devices of this machine, as the library finds them.
    ///
    /// Asking some of them for their memory opens a driver's context that stays as long as the process, so a process
    /// that shall not hold one asks another: `skein devices`.
    package static func all() -> [EngineDevice] {
        LlamaLibrary.start()
        var devices: [EngineDevice] = []
        for index in 0..<ggml_backend_dev_count() {
            guard let device = unsafe ggml_backend_dev_get(index) else { continue }
            var free = 0
            var total = 0
            unsafe ggml_backend_dev_memory(device, &free, &total)
            let type = unsafe ggml_backend_dev_type(device)
            let registry = unsafe ggml_backend_dev_backend_reg(device)
            let backend = unsafe registry.flatMap { unsafe ggml_backend_reg_name($0) }
            var found = EngineDevice(
                name: unsafe String(cString: ggml_backend_dev_name(device)),
                about: unsafe String(cString: ggml_backend_dev_description(device)),
                compute: compute(of: unsafe backend.map { unsafe String(cString: $0) } ?? ""),
                isOffload: type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU,
                totalBytes: total > 0 ? UInt64(total) : nil)
            if type == GGML_BACKEND_DEVICE_TYPE_CPU { found.tilesWeights = WeightPacking.usesTiles }
            devices.append(found)
        }
        return devices
    }

    /// The library calls Metal by three letters.
    static func compute(of backend: String) -> String {
        let name = backend.lowercased()
        return name == "mtl" ? "metal" : name
    }

    /// Whether a name means the processor.
    package static func isHost(_ name: String) -> Bool { hostNames.contains(name.lowercased()) }

    /// What is wrong with a choice of devices, one sentence fragment; nil when every name is one of `devices`.
    package static func objection(to names: [String], among devices: [EngineDevice]) -> String? {
        let offload = devices.filter(\.isOffload).map(\.name)
        let isOnHost = names.contains(where: isHost)
        let unknown = names.first { !isHost($0) && !offload.contains($0) }
        let known = (["none"] + offload).joined(separator: ", ")
        if let unknown { return "there is no device '\(unknown)' here; allowed: \(known)" }
        if names.isEmpty { return "no device is named; allowed: \(known)" }
        return isOnHost && names.count > 1 ? "'none' stands alone; allowed: \(known)" : nil
    }

    /// The devices among `devices` that a choice leaves to a stage; nil chooses all. The CPU always computes along.
    package static func chosen(_ names: [String]?, among devices: [EngineDevice]) -> [EngineDevice] {
        guard let names else { return devices }
        return devices.filter { !$0.isOffload || names.contains($0.name) }
    }

    /// Calls `body` with the library's devices of these names, ended by nil; nil for all of them.
    ///
    /// **Throws:** `loadFailed` naming those there are, when one is not; what `body` throws.
    static func withHandles<Value: ~Copyable>(
        _ names: [String]?, path: String,
        _ body: (UnsafeMutablePointer<ggml_backend_dev_t?>?) throws(EngineError) -> Value
    ) throws(EngineError) -> Value {
        guard let names else { return try body(nil) }
        if let objection = objection(to: names, among: all()) { throw .loadFailed(path: path, reason: objection) }
        let chosen = names.filter { !isHost($0) }
        let handles = UnsafeMutablePointer<ggml_backend_dev_t?>.allocate(capacity: chosen.count + 1)
        defer { unsafe handles.deallocate() }
        for (index, name) in chosen.enumerated() {
            unsafe (handles + index).initialize(to: ggml_backend_dev_by_name(name))
        }
        unsafe (handles + chosen.count).initialize(to: nil)
        return try unsafe body(handles)
    }
}
