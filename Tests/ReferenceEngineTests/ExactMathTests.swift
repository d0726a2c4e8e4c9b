import Foundation
import Testing

@testable import ReferenceEngine

@Suite struct `Exact mathematics` {
    @Test func `the exponential function agrees with the library's`() {
        for x in stride(from: Float(-80), through: 80, by: 0.37) {
            let expected = Float(exp(Double(x)))
            #expect(abs(ExactMath.exp(x) / expected - 1) < 3e-7, "x = \(x)")
        }
        #expect(ExactMath.exp(0) == 1)
        #expect(ExactMath.exp(-.infinity) == 0)
        #expect(ExactMath.exp(1e30) == .infinity)
    }

    @Test func `the square root agrees with the library's`() {
        for exponent in stride(from: Float(-80), through: 80, by: 0.41) {
            let x = Float(exp(Double(exponent)))
            #expect(ExactMath.squareRoot(x) == x.squareRoot(), "x = \(x)")
        }
    }

    @Test func `the logarithm agrees with the library's`() {
        for exponent in stride(from: Float(-30), through: 30, by: 0.43) {
            let x = Float(exp(Double(exponent)))
            #expect(abs(ExactMath.log(x) - Float(log(Double(x)))) < 3e-6, "x = \(x)")
        }
        #expect(ExactMath.log(1) == 0)
    }
}
