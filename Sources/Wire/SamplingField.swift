/// Numbers of the fields an `open` operation carries, each written as u32 (tag in the low byte, length above) and its
/// bytes.
///
/// A later protocol version may add fields: a receiver passes over unknown tags from 0x80 on and refuses unknown tags
/// below, so nothing that changes an answer is ever ignored.
package enum SamplingField: UInt8, CaseIterable {
    case promptLength = 1
    case topLogprobs = 2
    case seed = 3
    case temperature = 4
    case topP = 5
    case topK = 6
    case minP = 7
    case typicalP = 8
    case topNSigma = 9
    case xtcProbability = 10
    case xtcThreshold = 11
    case dynamicTemperatureRange = 12
    case dynamicTemperatureExponent = 13
    case repeatPenalty = 14
    case frequencyPenalty = 15
    case presencePenalty = 16
    case penaltyWindow = 17
    case dryMultiplier = 18
    case dryBase = 19
    case dryAllowedLength = 20
    case dryWindow = 21
    case dryBreakers = 22
    case mirostat = 23
    case mirostatTau = 24
    case mirostatEta = 25
    case logitBias = 26
    case ignoreEndOfGeneration = 27
    case grammarText = 28
    case grammarTriggers = 29
    case grammarPromptTail = 30
    case pooling = 31
    case thinking = 32
    case samplers = 33

    /// First tag a receiver may pass over without knowing it.
    package static let firstOptionalTag: UInt8 = 0x80

    /// Whether every `open` carries the field; the others are absent for nil.
    package var isRequired: Bool {
        switch self {
        case .topLogprobs, .seed, .grammarText, .grammarTriggers, .grammarPromptTail, .pooling, .thinking, .samplers:
            false
        default: true
        }
    }
}
