package import Vocabulary

/// The dialer's offer: which protocol it speaks, what the connection is for, and what it believes about the acceptor.
package struct Hello: Hashable, Sendable {
    /// Protocol versions the dialer speaks.
    package var versions: ClosedRange<UInt16>
    /// What the dialer can do.
    package var capabilities: LinkCapabilities
    /// Identity of the cluster.
    package var cluster: String
    /// Identity of the placement.
    package var placement: String
    /// Fencing identity of the placement.
    package var epoch: Epoch
    /// What the connection is for.
    package var role: LinkRole
    /// The dialer's own stage; nil for a node.
    package var sender: StagePlace?
    /// The stage the dialer wants to reach.
    package var receiver: StagePlace
    /// SHA-256 of the model.
    package var model: ModelDigest
    /// Floats per row between the stages.
    package var width: Int
    /// How activations are sent on this connection.
    package var format: WireFormat
    /// Largest frame the dialer takes, header included. **Units:** bytes.
    package var frameByteLimit: Int

    /// Makes an offer.
    package init(
        versions: ClosedRange<UInt16> = Handshake.versions, capabilities: LinkCapabilities = .all, cluster: String,
        placement: String, epoch: Epoch, role: LinkRole, sender: StagePlace?, receiver: StagePlace,
        model: ModelDigest, width: Int, format: WireFormat, frameByteLimit: Int = Limits.frameBytes
    ) {
        self.versions = versions
        self.capabilities = capabilities
        self.cluster = cluster
        self.placement = placement
        self.epoch = epoch
        self.role = role
        self.sender = sender
        self.receiver = receiver
        self.model = model
        self.width = width
        self.format = format
        self.frameByteLimit = frameByteLimit
    }
}

/// The acceptor's agreement: what the connection uses from now on.
package struct Welcome: Hashable, Sendable {
    /// The protocol version of all further frames.
    package var version: UInt16
    /// What both ends can do.
    package var capabilities: LinkCapabilities
    /// The epoch the acceptor obeys.
    package var epoch: Epoch
    /// The acceptor's place.
    package var place: StagePlace
    /// Largest frame the acceptor takes, header included. **Units:** bytes.
    package var frameByteLimit: Int

    /// Makes an agreement.
    package init(
        version: UInt16, capabilities: LinkCapabilities, epoch: Epoch, place: StagePlace, frameByteLimit: Int
    ) {
        self.version = version
        self.capabilities = capabilities
        self.epoch = epoch
        self.place = place
        self.frameByteLimit = frameByteLimit
    }
}

extension FrameWriter {
    /// Appends the first frame of a connection; its header carries the newest version the dialer speaks.
    ///
    /// **Throws:** `cannotEncode` for ids, places or widths beyond their limits.
    package mutating func hello(_ hello: Hello) throws(WireError) {
        version = hello.versions.upperBound
        try frame(.hello, stream: 0) { writer throws(WireError) in
            try writer.put(Handshake.magic)
            try writer.put(hello.versions.lowerBound)
            try writer.put(hello.versions.upperBound)
            try writer.put(hello.capabilities.rawValue)
            try writer.put(hello.epoch)
            try writer.put(hello.sender)
            try writer.put(hello.receiver)
            try writer.put(hello.role.rawValue)
            try writer.put(hello.format.rawValue)
            try writer.put(UInt16(0))
            try writer.put32(hello.width, "hello.width", limit: Limits.width)
            try writer.put32(hello.frameByteLimit, "hello.frameByteLimit", limit: Limits.frameBytesMax)
            try writer.putBytes(unsafe hello.model.bytes.span.bytes)
            try writer.put16(hello.cluster.utf8.count, "hello.cluster", limit: Limits.identityBytes)
            try writer.put16(hello.placement.utf8.count, "hello.placement", limit: Limits.identityBytes)
            try writer.putText(hello.cluster)
            try writer.putText(hello.placement)
        }
    }

    /// Appends the acceptor's agreement; all further frames are written in its version (see `establish`).
    ///
    /// **Throws:** `cannotEncode` for a place or budget beyond its limit.
    package mutating func welcome(_ welcome: Welcome) throws(WireError) {
        version = welcome.version
        try frame(.welcome, stream: 0) { writer throws(WireError) in
            try writer.put(welcome.version)
            try writer.put(UInt16(0))
            try writer.put32(welcome.frameByteLimit, "welcome.frameByteLimit", limit: Limits.frameBytesMax)
            try writer.put(welcome.capabilities.rawValue)
            try writer.put(welcome.epoch)
            try writer.put(welcome.place)
        }
    }
}

extension ByteReader {
    /// The first fields of a hello, which tell whether the rest can be understood.
    mutating func helloVersions(_ bytes: RawSpan) throws(WireError) -> ClosedRange<UInt16> {
        let magic = try u32(bytes, "hello.magic")
        guard magic == Handshake.magic else {
            throw .invalidValue(field: "hello.magic", offset: 0, value: Int(magic), allowed: "\(Handshake.magic)")
        }
        return try versions(bytes, "hello.versions")
    }

    /// The fields of a hello; whether more may follow is the caller's question.
    mutating func hello(_ bytes: RawSpan) throws(WireError) -> Hello {
        let versions = try helloVersions(bytes)
        let capabilities = LinkCapabilities(rawValue: try u64(bytes, "hello.capabilities"))
        let epoch = try epoch(bytes, "hello.epoch")
        let sender = try optionalPlace(bytes, "hello.sender")
        let receiver = try place(bytes, "hello.receiver")
        let role = try role(bytes, "hello.role")
        let format = try format(bytes, "hello.format")
        try skip(2, "hello.reserved")
        let width = try count(bytes, "hello.width", limit: Limits.width)
        let frameByteLimit = try frameByteLimit(bytes, "hello.frameByteLimit")
        let model = try digest(bytes, "hello.model")
        let clusterCount = try shortCount(bytes, "hello.cluster", limit: Limits.identityBytes)
        let placementCount = try shortCount(bytes, "hello.placement", limit: Limits.identityBytes)
        let cluster = try text(bytes, count: clusterCount, "hello.cluster")
        let placement = try text(bytes, count: placementCount, "hello.placement")
        return Hello(
            versions: versions, capabilities: capabilities, cluster: cluster, placement: placement, epoch: epoch,
            role: role, sender: sender, receiver: receiver, model: model, width: width, format: format,
            frameByteLimit: frameByteLimit)
    }

    /// The fields of a welcome; whether more may follow is the caller's question.
    mutating func welcome(_ bytes: RawSpan) throws(WireError) -> Welcome {
        let version = try u16(bytes, "welcome.version")
        try skip(2, "welcome.reserved")
        let frameByteLimit = try frameByteLimit(bytes, "welcome.frameByteLimit")
        let capabilities = LinkCapabilities(rawValue: try u64(bytes, "welcome.capabilities"))
        let epoch = try epoch(bytes, "welcome.epoch")
        let place = try place(bytes, "welcome.place")
        return Welcome(
            version: version, capabilities: capabilities, epoch: epoch, place: place, frameByteLimit: frameByteLimit)
    }

    mutating func versions(_ bytes: RawSpan, _ field: String) throws(WireError) -> ClosedRange<UInt16> {
        let oldest = try u16(bytes, field)
        let newest = try u16(bytes, field)
        guard oldest <= newest else {
            throw .invalidValue(field: field, offset: offset - 4, value: Int(oldest), allowed: "0 … \(newest)")
        }
        return oldest...newest
    }

    mutating func role(_ bytes: RawSpan, _ field: String) throws(WireError) -> LinkRole {
        let value = try u8(bytes, field)
        guard let role = LinkRole(rawValue: value) else {
            throw .invalidValue(field: field, offset: offset - 1, value: Int(value), allowed: "1 … 3")
        }
        return role
    }

    mutating func format(_ bytes: RawSpan, _ field: String) throws(WireError) -> WireFormat {
        let value = try u8(bytes, field)
        guard let format = WireFormat(rawValue: value) else {
            throw .invalidValue(field: field, offset: offset - 1, value: Int(value), allowed: "1 … 5")
        }
        return format
    }

    mutating func digest(_ bytes: RawSpan, _ field: String) throws(WireError) -> ModelDigest {
        let start = offset
        let raw = try self.bytes(bytes, count: ModelDigest.byteCount, field)
        guard let digest = ModelDigest(bytes: raw) else {
            throw .lengthMismatch(field: field, value: offset - start, expected: ModelDigest.byteCount)
        }
        return digest
    }

    private mutating func frameByteLimit(_ bytes: RawSpan, _ field: String) throws(WireError) -> Int {
        let value = try count(bytes, field, limit: Limits.frameBytesMax)
        guard value >= Limits.handshakeBytes else {
            throw .invalidValue(
                field: field, offset: offset - 4, value: value, allowed: "\(Limits.handshakeBytes) and above")
        }
        return value
    }
}
