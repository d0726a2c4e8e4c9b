package import Serving
import Vocabulary

extension LlamaStageEngine {
    /// Loads a draft model: a whole model whose lanes are those of the stages.
    ///
    /// `options` are those of the stage beside it: the cells are as many, and a few more per lane for guesses.
    /// **Throws:** `loadFailed` when the file is refused, when its vocabulary differs from the target's or when its
    /// cache cannot forget a wrong guess; `failed` when there is no memory for the context.
    package static func draft(
        path: String, beside target: SharedModel, options: ContextOptions, model: ModelOptions
    ) throws(EngineError) -> LlamaStageEngine {
        let draft = SharedModel(try LlamaModel(path: path, options: model))
        if let difference = VocabularyDifference.between(draft: draft, model: target) {
            throw .loadFailed(path: path, reason: "it cannot guess for this model, because \(difference)")
        }
        if draft.model.isRecurrentOrHybrid || draft.model.hasEncoder {
            throw .loadFailed(
                path: path, reason: "it cannot guess, because its state cannot forget a wrong guess")
        }
        var context = options
        context.cellCount += options.laneCount * (Limits.draftWidth + 1)
        context.rowLimit = min(options.rowLimit, Limits.draftFeed)
        let layerCount = draft.model.layerCount
        let configuration = LlamaStageConfiguration(
            path: path, layers: LayerRange(first: 0, end: layerCount), layerCount: layerCount,
            recipe: .whole(width: draft.model.width), context: context, model: model)
        return try LlamaStageEngine(configuration, model: draft)
    }
}
