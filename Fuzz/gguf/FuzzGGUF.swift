import GGUF

/// The entry point libFuzzer calls with every input it makes up: parse, and when accepted, rewrite and validate.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzOneInput(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: data, count: count))
    for expectingData in [true, false] {
        do throws(GGUFError) {
            let file = try GGUFFile.parse(ByteArraySource(bytes), expectingData: expectingData)
            _ = file.validate()
            let copy = try GGUFWriter(copying: file).layout().file
            precondition(copy == file, "a rewritten file differs from its original")
        } catch {
            precondition(!error.description.isEmpty, "a refusal without a sentence")
        }
    }
    return 0
}
