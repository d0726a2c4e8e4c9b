import ArgumentParser
import Vocabulary

/// How keys and values are stored.
struct CacheOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Type of the K cache: \(CacheFormat.names). Default: q8_0 where the model's heads fill its blocks of 32 \
            values, else f16.
            """,
            valueName: "type"))
    var cacheTypeK: CacheFormat?

    @Option(help: ArgumentHelp("Type of the V cache, as of the K cache.", valueName: "type"))
    var cacheTypeV: CacheFormat?
}

extension CacheFormat: ExpressibleByArgument {}
