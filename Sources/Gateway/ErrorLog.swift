import Dialects
import Logging
import Synchronization

/// Counts and logs what clients are refused, by the error table's own words.
final class ErrorLog: Sendable {
    private struct Key: Hashable, Comparable {
        let dialect: String
        let code: String

        static func < (left: Key, right: Key) -> Bool { (left.code, left.dialect) < (right.code, right.dialect) }
    }

    /// Codes come from a table and dialects are three, so their number is bounded.
    private let counts = Mutex<[Key: UInt64]>([:])
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Takes note of an error a client gets. No message is logged at any level: it may quote the request.
    func record(_ report: ErrorReport, _ dialect: ErrorDialect, requestID: String) {
        counts.withLock { $0[Key(dialect: dialect.rawValue, code: report.metricLabel), default: 0] += 1 }
        logger.log(
            level: report.severity.level, "a request was not answered",
            metadata: [
                "error.type": "\(report.code)", "http.status": "\(report.status)",
                "request.id": "\(requestID)",
            ])
    }

    /// Takes note of an answer that broke the form its request demanded.
    func record(findings: Int, _ dialect: ErrorDialect, requestID: String) {
        counts.withLock { $0[Key(dialect: dialect.rawValue, code: "answer_off_schema"), default: 0] += 1 }
        logger.warning(
            "an answer does not have the form that was demanded",
            metadata: ["findings": "\(findings)", "request.id": "\(requestID)"])
    }

    /// Lines of `/metrics`.
    var prometheus: String {
        let rows = counts.withLock { $0.sorted { $0.key < $1.key } }
        let head = """
            # HELP skein_http_errors_total Requests answered with an error, by dialect and code.
            # TYPE skein_http_errors_total counter

            """
        return rows.reduce(into: head) { text, row in
            text += "skein_http_errors_total{dialect=\"\(row.key.dialect)\",code=\"\(row.key.code)\"} \(row.value)\n"
        }
    }
}

extension ErrorReport.Severity {
    var level: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
