package import Vocabulary

/// How the file of one stage is made from the file of the whole model.
///
/// The stage file is `header`, then the copied segments; everything between is a hole of zeros that no stage reads.
package struct StageFilePlan: Hashable, Sendable {
    /// A run of bytes taken from the model file.
    package struct Segment: Hashable, Sendable {
        /// Where the run starts in the model file. **Units:** bytes.
        package var sourceOffset: UInt64
        /// Where it goes in the stage file. **Units:** bytes.
        package var destinationOffset: UInt64
        /// Its length. **Units:** bytes.
        package var byteCount: UInt64

        /// Makes a segment.
        package init(sourceOffset: UInt64, destinationOffset: UInt64, byteCount: UInt64) {
            self.sourceOffset = sourceOffset
            self.destinationOffset = destinationOffset
            self.byteCount = byteCount
        }
    }

    /// The layers the stage runs.
    package var layers: LayerRange
    /// Number of layers of the whole model that can be placed.
    package var layerCount: Int
    /// The stage file's header, up to its data section.
    package var header: [UInt8]
    /// What is copied, ascending in the stage file.
    package var segments: [Segment]
    /// Length of the stage file. **Units:** bytes.
    package var fileByteCount: UInt64
    /// How the stage is run.
    package var recipe: StageRecipe

    /// Bytes taken from the model file: what a stage really needs of it.
    package var copiedByteCount: UInt64 { segments.reduce(0) { $0 + $1.byteCount } }
}
