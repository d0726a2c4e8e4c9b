// swift-tools-version: 6.2
import PackageDescription

// The target graph is the architecture: see ARCHITECTURE.md. Arrows go down only, and every build passes
// `--explicit-target-dependency-import-check error`, so an undeclared import does not compile.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335
    .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
    .enableUpcomingFeature("InferIsolatedConformances"),  // SE-0470
    .enableUpcomingFeature("ImmutableWeakCaptures"),  // SE-0481
    .treatAllWarnings(as: .error),
]

/// A target of the pure core: standard library only, so it builds and tests in seconds (`CORE_ONLY=1`).
func pure(_ name: String, _ dependencies: [Target.Dependency] = [], extra: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings + extra)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

let core: [Target] = [
    pure("Vocabulary"),
    pure("GGUF", ["Vocabulary"]),
    pure("Dialects", ["Vocabulary"]),
    pure("Serving", ["Vocabulary"]),
    .target(name: "CChecksum"),
    pure("Wire", ["CChecksum", "Vocabulary"], extra: [.strictMemorySafety()]),
    pure("Placement", ["GGUF", "Vocabulary"]),
    pure("ReferenceEngine", ["Serving", "Vocabulary"]),
    pure("Cluster", ["Vocabulary"]),
    pure("Simulation", ["Cluster", "Vocabulary"]),
    pure("Discovery", ["Vocabulary"]),
    tests("VocabularyTests", ["Vocabulary"]),
    tests("GGUFTests", ["GGUF", "Vocabulary"]),
    tests("DialectsTests", ["Dialects", "Vocabulary"]),
    tests("ServingTests", ["Serving", "ReferenceEngine", "Vocabulary"]),
    tests("WireTests", ["CChecksum", "Wire", "Vocabulary"]),
    tests("PlacementTests", ["Placement", "GGUF", "Vocabulary"]),
    tests("ReferenceEngineTests", ["ReferenceEngine", "Serving", "Vocabulary"]),
    tests("ClusterTests", ["Cluster", "Vocabulary"]),
    tests("SimulationTests", ["Simulation", "Cluster", "Vocabulary"]),
    tests("DiscoveryTests", ["Discovery", "Vocabulary"]),
    tests("TidyTests", [], exclude: ["allowed.txt"]),
]

/// A target that talks to the world; each hides one heavy dependency.
func shell(_ name: String, _ dependencies: [Target.Dependency], extra: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings + extra)
}

func nio(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }

let shells: [Target] = [
    .systemLibrary(name: "CLlama", pkgConfig: "skein-llama"),
    .target(
        name: "CLlamaExtras", dependencies: ["CLlama"], cxxSettings: [.unsafeFlags(["-Wno-deprecated-declarations"])]),
    shell("LlamaEngine", ["Vocabulary", "Serving", "CLlama", "CLlamaExtras"], extra: [.strictMemorySafety()]),
    shell(
        "ModelStore",
        [
            "Vocabulary", "GGUF", "CFileCopy", .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "SystemPackage", package: "swift-system"),
        ]),
    shell(
        "Transport",
        [
            "Vocabulary", "Serving", "Wire", nio("NIOCore"), nio("NIOPosix"),
        ]),
    shell(
        "Identity",
        [
            "Vocabulary", "Cluster", nio("NIOCore"), nio("NIOPosix"), nio("NIOTLS"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"), .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "X509", package: "swift-certificates"),
            .product(name: "SwiftASN1", package: "swift-asn1"),
            .product(name: "SystemPackage", package: "swift-system"),
        ]),
    shell(
        "Runner",
        [
            "CChecksum", "Vocabulary", "Serving", "Wire", "Transport", "Identity", "LlamaEngine", nio("NIOCore"),
            nio("NIOPosix"),
        ]),
    shell(
        "Gateway",
        [
            "Vocabulary", "Cluster", "Dialects", nio("NIOCore"), nio("NIOHTTP1"), nio("NIOWebSocket"),
            .product(name: "Crypto", package: "swift-crypto"), .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "HTTPTypes", package: "swift-http-types"), .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ]),
    shell("ResponseStore", ["Dialects", "Gateway", .product(name: "GRDB", package: "GRDB.swift")]),
    shell(
        "ClusterStore", ["CChecksum", "Cluster", "Vocabulary", .product(name: "GRDB", package: "GRDB.swift")]),
    shell(
        "Fabric",
        [
            "CChecksum", "Cluster", "Vocabulary", nio("NIOCore"), nio("NIOPosix"),
            .product(name: "Logging", package: "swift-log"),
        ]),
    shell(
        "Etcd",
        [
            "Cluster", "Vocabulary", nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ]),
    shell(
        "Multicast",
        [
            "Vocabulary", "Discovery", nio("NIOCore"), nio("NIOPosix"),
            .product(name: "Logging", package: "swift-log"),
        ]),
    .target(name: "CBuiltinModel"),
    .target(name: "CFileCopy"),
    shell(
        "Node",
        [
            "Vocabulary", "GGUF", "Dialects", "Placement", "Serving", "Wire", "Transport", "LlamaEngine", "ModelStore",
            "Runner", "Gateway", "ResponseStore", "Cluster", "ClusterStore", "Fabric", "Identity", "Etcd", "Discovery",
            "Multicast", "CBuiltinModel", nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "Subprocess", package: "swift-subprocess"),
            .product(name: "SystemPackage", package: "swift-system"),
        ]),
    .executableTarget(
        name: "skein",
        dependencies: [
            "Vocabulary", "Dialects", "GGUF", "Gateway", "Placement", "ModelStore", "LlamaEngine", "Runner", "Node",
            "Wire", "Serving", "Simulation", "Cluster", "Etcd", "Fabric", "Identity", "Discovery", "Multicast",
            nio("NIOCore"), nio("NIOHTTP1"), nio("NIOPosix"),
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: settings),
]

/// Tests of the targets that talk to the world: real sockets, files, processes and the real engine library.
let shellTests: [Target] = [
    tests(
        "LlamaEngineTests",
        ["CLlama", "CLlamaExtras", "LlamaEngine", "GGUF", "ModelStore", "Placement", "Serving", "Vocabulary"]),
    tests(
        "ModelStoreTests",
        ["ModelStore", "GGUF", "Vocabulary", .product(name: "Crypto", package: "swift-crypto")]),
    tests(
        "GatewayTests",
        [
            "Gateway", "Cluster", "Dialects", "Vocabulary", nio("NIOCore"), nio("NIOEmbedded"), nio("NIOHTTP1"),
            nio("NIOPosix"), nio("NIOWebSocket"), .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "Hummingbird", package: "hummingbird"), .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        ]),
    tests(
        "ResponseStoreTests", ["ResponseStore", "Dialects", "Gateway", .product(name: "GRDB", package: "GRDB.swift")]),
    tests(
        "ClusterStoreTests",
        ["ClusterStore", "Cluster", "Vocabulary", .product(name: "GRDB", package: "GRDB.swift")]),
    tests(
        "FabricTests",
        [
            "Fabric", "ClusterStore", "Cluster", "Etcd", "Vocabulary", nio("NIOCore"), nio("NIOPosix"),
            .product(name: "Logging", package: "swift-log"),
        ]),
    tests(
        "MulticastTests",
        [
            "Multicast", "Discovery", "Vocabulary", nio("NIOCore"), nio("NIOPosix"),
            .product(name: "Logging", package: "swift-log"),
        ]),
    tests(
        "NodeTests",
        [
            "Node", "Cluster", "Dialects", "Fabric", "Gateway", "GGUF", "Identity", "LlamaEngine", "ModelStore",
            "Placement", "Runner", "Serving", "Transport", "Vocabulary", nio("NIOCore"), nio("NIOPosix"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "SystemPackage", package: "swift-system"),
        ]),
    tests(
        "IdentityTests",
        [
            "Identity", "Cluster", "Vocabulary", nio("NIOCore"), nio("NIOPosix"), nio("NIOTLS"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"), .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "X509", package: "swift-certificates"),
            .product(name: "SwiftASN1", package: "swift-asn1"),
            .product(name: "SystemPackage", package: "swift-system"),
        ]),
    tests(
        "SkeinTests",
        [
            "skein", "Cluster", "Dialects", "Discovery", "Etcd", "Gateway", "Node", "Vocabulary", nio("NIOCore"),
            nio("NIOPosix"),
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Hummingbird", package: "hummingbird"), .product(name: "Logging", package: "swift-log"),
        ]),
    tests(
        "RunnerTests",
        [
            "Runner", "Cluster", "Identity", "LlamaEngine", "Serving", "Transport", "Vocabulary", "Wire",
            nio("NIOCore"), nio("NIOPosix"),
        ]),
    tests(
        "TransportTests",
        [
            "Transport", "Wire", "Vocabulary", nio("NIOCore"), nio("NIOEmbedded"), nio("NIOPosix"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ], exclude: ["Fixtures"]),
]

let dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
]

let coreOnly = Context.environment["CORE_ONLY"] != nil
let package = Package(
    name: "skein",
    dependencies: coreOnly ? [] : dependencies,
    targets: coreOnly ? core : core + shells + shellTests,
    cLanguageStandard: .gnu2x,
    cxxLanguageStandard: .cxx17
)
