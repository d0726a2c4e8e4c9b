import LlamaEngine
import Serving
import Vocabulary

/// Times steps of a stage that was just loaded, before anybody uses it. It also brings the weights into memory, so the
/// first request does not wait for them.
enum CostMeasurement {
    /// Time after which no further row count is tried, or as long as the first step took, when that is longer: a stage
    /// that is slow, or slow to load, may take a little longer to be ready.
    static let budget = Duration.seconds(2)
    /// ... but no longer than this.
    static let patience = Duration.seconds(10)
    /// Each row count is timed this often while there is time, and twice at least when that is quick; the shortest
    /// counts.
    private static let repetitions = 2
    /// Steps longer than this are timed once.
    private static let onceLimit = Duration.milliseconds(100)

    /// The costs, and an engine whose lanes are all empty again; nil when the engine refuses a step, which the first
    /// request will then report. `elapsed` tells the time.
    ///
    /// The first step of all is not counted: it reads the weights from the disk.
    static func costs<Engine: StageEngine & ~Copyable>(
        of engine: inout Engine, elapsed: () -> Duration = Stopwatch.started()
    ) -> StepCosts? {
        var output = StageOutput()
        return costs(upTo: min(engine.shape.rowLimit, engine.shape.cellCount), elapsed) { count throws(EngineError) in
            try time(count, on: &engine, into: &output, elapsed)
        }
    }

    /// What a guess of the model's own heads takes by the number of lanes it is made for; nil when the engine refuses.
    static func guessCosts(
        of engine: inout LlamaStageEngine, elapsed: () -> Duration = Stopwatch.started()
    ) -> StepCosts? {
        costs(upTo: engine.shape.laneCount, elapsed) { count throws(EngineError) in
            let start = elapsed()
            try engine.rehearseGuesses(lanes: count)
            return elapsed() - start
        }
    }

    /// What `time` says by the number of rows; nil when it throws.
    private static func costs(
        upTo limit: Int, _ elapsed: () -> Duration, time: (Int) throws(EngineError) -> Duration
    ) -> StepCosts? {
        var points: [StepCosts.Point] = []
        do throws(EngineError) {
            let first = try time(1)
            let end = elapsed() + min(max(budget, first), patience)
            for count in StepCosts.rowCounts where count <= limit {
                for _ in 0..<repetitions where points.isEmpty || elapsed() < end {
                    let took = try time(count)
                    points.append(StepCosts.Point(rows: count, nanoseconds: max(1, Double(took.inNanoseconds))))
                    if took > onceLimit { break }
                }
            }
        } catch {
            return nil
        }
        return StepCosts(points)
    }

    /// How long a step of so many rows takes.
    private static func time<Engine: StageEngine & ~Copyable>(
        _ count: Int, on engine: inout Engine, into output: inout StageOutput, _ elapsed: () -> Duration
    ) throws(EngineError) -> Duration {
        let rows = try open(count, on: &engine)
        let activations = [Float](repeating: 0.01, count: engine.shape.isFirst ? 0 : count * engine.shape.width)
        let start = elapsed()
        try engine.execute(rows, activations: activations.span, into: &output)
        let took = elapsed() - start
        try free(rows, on: &engine)
        return took
    }

    /// Rows as a decode has them, one per lane; with fewer lanes the rest continues on them.
    private static func open<Engine: StageEngine & ~Copyable>(
        _ count: Int, on engine: inout Engine
    ) throws(EngineError) -> [StageRow] {
        let lanes = min(count, engine.shape.laneCount)
        var parameters = SamplingParameters()
        parameters.temperature = 0
        parameters.seed = 0
        var rows: [StageRow] = []
        for lane in 0..<lanes {
            let index = Lane(UInt16(lane))
            try engine.apply(.open(lane: index, sampling: LaneSampling(parameters: parameters, promptLength: 1)))
            let length = count / lanes + (lane < count % lanes ? 1 : 0)
            for position in 0..<length {
                rows.append(
                    StageRow(lane: index, position: Int32(position), token: 0, samples: position == length - 1))
            }
        }
        return rows
    }

    private static func free<Engine: StageEngine & ~Copyable>(
        _ rows: [StageRow], on engine: inout Engine
    ) throws(EngineError) {
        for row in rows where row.position == 0 { try engine.apply(.free(lane: row.lane)) }
    }
}
