/// Elementary functions from additions and multiplications alone, so every platform gives the same bits.
enum ExactMath {
    private static let log2e = 1.442_695_040_888_963_4
    private static let ln2 = 0.693_147_180_559_945_3

    /// e to the power of `x`, accurate to about 1e-9 relative; 0 below the range, infinity above it.
    static func exp(_ x: Float) -> Float {
        let scaled = Double(x) * log2e
        if scaled < -1000 { return 0 }
        if scaled > 1000 { return .infinity }
        let whole = Double(Int(scaled + (scaled < 0 ? -0.5 : 0.5)))
        // |y| <= ln2 / 2, where eight terms of the Taylor series leave less than 1e-9.
        let y = (scaled - whole) * ln2
        var sum = 1.0
        var n = 9.0
        while n >= 1 {
            sum = 1 + y / n * sum
            n -= 1
        }
        return Float(Double(sign: .plus, exponent: Int(whole), significand: sum))
    }

    /// The square root of `x` by Newton's method, correct to f32; the caller MUST pass `x > 0`.
    ///
    /// The library's would do, but an optimised `squareRoot()` calls libm, which pure targets do not link.
    static func squareRoot(_ x: Float) -> Float {
        let value = Double(x)
        // Half the exponent: within a factor of two, so six steps double the correct bits past f64.
        var root = Double(sign: .plus, exponent: Int(value.exponent) / 2, significand: 1)
        var step = 0
        while step < 6 {
            root = (root + value / root) / 2
            step &+= 1
        }
        return Float(root)
    }

    /// The natural logarithm of `x`, accurate to about 1e-9 absolute; the caller MUST pass `x > 0`.
    static func log(_ x: Float) -> Float {
        let value = Double(x)
        // ln s = 2 artanh((s - 1) / (s + 1)); t <= 1/3, so nine terms leave less than 1e-9.
        let t = (value.significand - 1) / (value.significand + 1)
        var sum = 0.0
        var n = 17.0
        while n >= 1 {
            sum = sum * t * t + 1 / n
            n -= 2
        }
        return Float(2 * t * sum + Double(value.exponent) * ln2)
    }
}
