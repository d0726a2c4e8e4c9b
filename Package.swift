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
    pure("ReferenceEngine", ["Serving", "Vocabulary"]),
    tests("VocabularyTests", ["Vocabulary"]),
    tests("GGUFTests", ["GGUF", "Vocabulary"]),
    tests("DialectsTests", ["Dialects", "Vocabulary"]),
    tests("ServingTests", ["Serving", "ReferenceEngine", "Vocabulary"]),
    tests("WireTests", ["CChecksum", "Wire", "Vocabulary"]),
    tests("ReferenceEngineTests", ["ReferenceEngine", "Serving", "Vocabulary"]),
    tests("TidyTests", [], exclude: ["allowed.txt"]),
]

let package = Package(name: "skein", targets: core)
