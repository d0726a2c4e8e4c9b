#ifndef SKEIN_CCHECKSUM_H
#define SKEIN_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, initial value and final XOR all ones) of `count` bytes,
/// continuing from `checksum`; 0 starts a new one. Uses the processor's CRC instruction where it has one.
uint32_t skein_crc32c(uint32_t checksum, const void *bytes, size_t count);

/// The same function without any special instruction, for processors that lack it; tests compare the two.
uint32_t skein_crc32c_portable(uint32_t checksum, const void *bytes, size_t count);

/// The name of the implementation `skein_crc32c` uses on this machine: "sse4.2", "arm-crc" or "portable".
const char *skein_crc32c_implementation(void);

#endif
