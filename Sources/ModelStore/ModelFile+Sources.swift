import GGUF
package import Vocabulary

extension ModelFile {
    /// Where the file says it comes from, its own repository first: by its place in a hub's cache, then by what its
    /// header says of itself and of what it was made of. The quantisation is the file's own.
    ///
    /// **Source:** the GGUF specification's `general.repo_url` and `general.source.*`; hub caches keep files at
    /// `models--ORG--REPO/snapshots/REVISION`.
    package var sources: [ModelSource] {
        let keys = [
            "general.repo_url", "general.source.repo_url", "general.source.url",
            "general.source.huggingface.repository",
        ]
        var found: [ModelSource] = []
        let told = [ModelSource(cachePath: path)] + keys.map { header.string($0).flatMap(ModelSource.init(address:)) }
        for var source in told.compactMap({ $0 }) {
            source.quantization = quantization == "unknown" ? nil : quantization
            // What names the same repository with less says nothing new.
            if !found.contains(where: { $0.name == source.name && (source.revision ?? $0.revision) == $0.revision }) {
                found.append(source)
            }
        }
        return found
    }
}
