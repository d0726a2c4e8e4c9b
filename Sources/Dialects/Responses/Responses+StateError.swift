extension Responses {
    /// Why a request about kept responses cannot be served.
    package enum StateError: Error, Hashable, Sendable, CustomStringConvertible {
        /// No response of this identity is kept.
        case notFound(id: String)
        /// The response to continue is not kept.
        case previousNotFound(id: String)
        /// The response to continue is still being made.
        case previousRunning(id: String)
        /// More responses follow each other than are loaded.
        case chainTooLong(limit: Int)
        /// The responses that follow each other are larger than what is loaded.
        case chainTooLarge(bytes: Int, limit: Int)
        /// No kept item has this identity.
        case itemNotFound(field: String, id: String)
        /// Only responses in the background can be cancelled.
        case notInBackground(id: String)
        /// The events of the response are not kept (any more).
        case eventsNotKept(id: String)
        /// As many responses as allowed run in the background.
        case tooManyInBackground(limit: Int)
        /// A kept record cannot be read.
        case damagedRecord(id: String)
        /// The disk is full.
        case storageFull
        /// The store failed.
        case storageFailed(reason: String)
        /// This node keeps no responses.
        case storageAbsent(field: String)
        /// The input does not follow from what was said before.
        case invalid(DialectError)

        /// One sentence with the next step.
        package var description: String {
            switch self {
            case .notFound(let id):
                "Response with id '\(clipped(id))' not found; it was not stored, or deleted, or its time is over."
            case .previousNotFound(let id):
                "Previous response with id '\(clipped(id))' not found; send the whole conversation as 'input'."
            case .previousRunning(let id):
                "Response '\(clipped(id))' is still being made; wait until it is complete or cancel it."
            case .chainTooLong(let limit):
                "More than \(limit) responses follow each other; send the conversation as 'input' and start anew."
            case .chainTooLarge(let bytes, let limit):
                "The responses that follow each other have \(bytes) bytes; the limit is \(limit). Compact them."
            case .itemNotFound(let field, let id):
                "Item with id '\(clipped(id))' in '\(field)' not found; send the item itself."
            case .notInBackground(let id):
                "Response '\(clipped(id))' was not created with background=true, so it cannot be cancelled; "
                    + "close its connection instead."
            case .eventsNotKept(let id):
                "The events of response '\(clipped(id))' are not kept; get it without stream."
            case .tooManyInBackground(let limit):
                "\(limit) responses run in the background already; wait until one is over."
            case .damagedRecord(let id):
                "The stored response '\(clipped(id))' cannot be read; delete it and send the request again."
            case .storageFull:
                "The disk is full, so the response cannot be stored; free space or send store=false."
            case .storageFailed(let reason):
                "The response store failed: \(reason); the server's log says more. Or send store=false."
            case .storageAbsent(let field):
                "Invalid '\(field)': this node stores no responses; send the whole conversation as 'input'."
            case .invalid(let error): error.description
            }
        }
    }
}

extension ErrorReport {
    /// The report of a request about kept responses.
    package init(_ error: Responses.StateError) {
        let message = error.description
        switch error {
        case .notFound: self.init(.responseNotFound, param: "response_id", message: message)
        case .previousNotFound: self.init(.previousNotFound, param: "previous_response_id", message: message)
        case .previousRunning: self.init(.previousRunning, param: "previous_response_id", message: message)
        case .chainTooLong, .chainTooLarge:
            self.init(.chainTooLong, param: "previous_response_id", message: message)
        case .itemNotFound(let field, _): self.init(.itemNotFound, param: field, message: message)
        case .notInBackground: self.init(.notInBackground, param: "response_id", message: message)
        case .eventsNotKept: self.init(.eventsNotKept, param: "stream", message: message)
        case .tooManyInBackground: self.init(.tooManyInBackground, param: "background", message: message)
        case .damagedRecord: self.init(.storedResponseDamaged, message: message)
        case .storageFull: self.init(.storageFull, param: "store", message: message)
        case .storageFailed: self.init(.storageFailed, param: "store", message: message)
        case .storageAbsent(let field): self.init(.storageAbsent, param: field, message: message)
        case .invalid(let error): self.init(error)
        }
    }
}
