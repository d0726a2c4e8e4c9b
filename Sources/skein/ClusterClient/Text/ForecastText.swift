import Vocabulary

/// How fast a placement is predicted to be, stage by stage, with what it was derived from.
enum ForecastText {
    static func lines(_ forecast: SeenForecast) -> [String] {
        guard forecast.isMeasured else {
            return [
                "speed: unknown, because \(milliseconds(forecast.assumedMicroseconds)) of "
                    + "\(milliseconds(forecast.tokenMicroseconds)) per token rest on figures nobody measured yet"
            ]
        }
        let rows = forecast.stages.enumerated().map { index, stage in
            [
                "\(index)", perSecond(stage.tokenMicroseconds), milliseconds(stage.tokenMicroseconds),
                "\(ByteCount(stage.readBytes))", PlanText.rate(Double(stage.bytesPerSecond)),
                milliseconds(stage.cacheMicroseconds), stage.hopMicroseconds.map(milliseconds) ?? "-",
            ]
        }
        var total =
            "predicted: \(perSecond(forecast.tokenMicroseconds)) tokens/s alone, "
            + "\(milliseconds(forecast.tokenMicroseconds)) per token"
        if let first = forecast.firstTokenMicroseconds, let tokens = forecast.promptTokens {
            total += "; first token of a prompt of \(tokens) after \(milliseconds(first))"
        }
        if forecast.assumedMicroseconds > 0 {
            total += "; \(milliseconds(forecast.assumedMicroseconds)) of it assumed, as links' rates are not measured"
        }
        return TextTable(titles: PlanText.basisTitles, rows: rows, indent: 2).lines + [total]
    }

    private static func milliseconds(_ microseconds: UInt64) -> String {
        "\(PlanText.rounded(Double(microseconds) / 1000)) ms"
    }

    private static func perSecond(_ microseconds: UInt64) -> String {
        microseconds > 0 ? PlanText.rounded(1e6 / Double(microseconds)) : "?"
    }
}
