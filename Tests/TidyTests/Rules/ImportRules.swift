/// The arrows of the target graph: who may know whom.
enum ImportRules {
    /// System modules a pure target may import besides its declared targets.
    static let systemModulesOfPureTargets: [String: Set<String>] = ["Dialects": ["FoundationEssentials"]]

    /// The C library is visible in one room only, and to the tests of that room, which compare with it.
    static let ownersOfTheLibrary: [String: String] = ["CLlama": "LlamaEngine", "CLlamaExtras": "LlamaEngine"]

    static func forbiddenImports(_ file: SourceFile, manifest: Manifest) -> [Finding] {
        guard let swift = file.swift, let name = file.target, let target = manifest.target(name) else { return [] }
        let targetNames = Set(manifest.targets.map(\.name))
        return swift.imports.compactMap { module, line in
            var problem: String?
            if module == "XCTest" {
                problem = "tests are written with Testing, not XCTest"
            } else if targetNames.contains(module), !target.dependencies.contains(module) {
                problem = "\(name) imports \(module), which Package.swift does not list among its dependencies"
            } else if target.isPure, !target.dependencies.contains(module),
                !systemModulesOfPureTargets[name, default: []].contains(module)
            {
                problem = "\(name) is pure and may import only its declared targets, not \(module)"
            } else if let owner = ownersOfTheLibrary[module], owner != name, "\(owner)Tests" != name {
                problem = "\(module) may be imported by \(owner) only"
            }
            return problem.map { Finding(path: file.path, line: line, problem: $0) }
        }
    }

    /// A folder of Sources or Tests that Package.swift does not know would be checked by nobody.
    static func undeclaredTargets(_ files: [SourceFile], manifest: Manifest) -> [Finding] {
        let folders = Set(files.filter { $0.swift != nil }.compactMap(\.target)).sorted()
        return folders.filter { manifest.target($0) == nil }.map {
            Finding(path: "Package.swift", line: 1, problem: "no target is declared for the folder \($0)")
        }
    }
}
