import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The outcome of one `skein bench`, as its JSON.
package struct BenchReport: Sendable, Codable {
    /// One measured figure.
    package struct Result: Sendable, Codable {
        /// The figure's name; scripts rely on it.
        package var metric: String
        /// Of which case it is, where a bench has several.
        package var `case`: String?
        /// Of which stage it is, where it is of one.
        package var stage: Int?
        /// Its unit.
        package var unit: String
        /// The median over all runs.
        package var value: Double
        /// Median.
        package var p50: Double
        /// 95th percentile.
        package var p95: Double
        /// 99th percentile.
        package var p99: Double
        /// Every run's figure, in order.
        package var samples: [Double]

        /// What `BenchPlacement.machineLimit` found, when it was asked.
        static func machineLimit(_ samples: [Double]) -> [Result] {
            guard !samples.isEmpty else { return [] }
            return [Result("machine_limit", unit: "ratio, as many whole models at once over one alone", samples)]
        }

        /// What a cut and its steps allow, and how long each stage is busy for.
        ///
        /// **Shape:** `busy` is `[runs][stages]`.
        static func stageShares(limit: [Double], busy: [[Double]], stages: Int) -> [Result] {
            [Result("split_limit", unit: "ratio, solo's computing over the busiest stage's", limit)]
                + (0..<stages).map { stage in
                    Result(
                        "stage\(stage)_busy", unit: "share of the time",
                        busy.map { stage < $0.count ? $0[stage] : .nan })
                }
        }

        init(_ metric: String, of name: String? = nil, stage: Int? = nil, unit: String, _ samples: [Double]) {
            let sorted = samples.sorted()
            self.case = name
            self.stage = stage
            self.metric = metric
            self.unit = unit
            self.samples = samples
            p50 = Percentile.of(0.5, sorted: sorted)
            p95 = Percentile.of(0.95, sorted: sorted)
            p99 = Percentile.of(0.99, sorted: sorted)
            value = p50
        }
    }

    /// The machine it ran on.
    package struct Machine: Sendable, Codable {
        /// Processor name.
        package var processor: String
        /// Cores the process may use.
        package var cores: Int
        /// Operating system.
        package var system: String
        /// llama.cpp's version.
        package var engine: String
    }

    /// Which bench.
    package var name: String
    /// The model file's name.
    package var model: String
    /// What was chosen.
    package var settings: [String: String]
    /// The figures.
    package var results: [Result]
    /// The machine.
    package var machine: Machine
    /// What is outside its bound, one sentence each; nil for benches without bounds.
    package var misses: [String]?

    init(_ name: String, model: String, settings: [String: String], engine: String) {
        self.name = name
        self.model = model.split(separator: "/").last.map(String.init) ?? model
        self.settings = settings
        results = []
        machine = Machine(
            processor: MachineInventory.processorName ?? "unknown", cores: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))),
            system: Self.system,
            engine: engine)
    }

    /// A figure as people read it: three places below 10, one above.
    package static func rounded(_ value: Double) -> Double {
        let places = value.magnitude < 10 ? 1000.0 : 10.0
        return (value * places).rounded() / places
    }

    private static var system: String {
        var facts = utsname()
        uname(&facts)
        return [
            withUnsafeBytes(of: facts.sysname) { text($0) }, withUnsafeBytes(of: facts.release) { text($0) },
            withUnsafeBytes(of: facts.machine) { text($0) },
        ].joined(separator: " ")
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
