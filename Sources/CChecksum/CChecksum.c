// CRC-32C for stage frames. A prefill frame is 2 MB and crosses every hop, so this runs at memory speed: the
// processor's CRC instruction has a latency of three cycles, and three independent streams keep it busy.
//
// The streams are joined by arithmetic over GF(2): appending n zero bytes to a message multiplies its remainder by
// x^(8n) modulo the polynomial, so crc(A B) = crc(A) * x^(8 |B|) + crc(B).

#include "CChecksum.h"

#define POLYNOMIAL 0x82F63B78u

// Bytes per stream of a block of three; long ones for prefill frames, short ones for decode frames.
#define LONG_STREAM 8192u
#define SHORT_STREAM 512u

// ---------------------------------------------------------------------------------------------------------------
// Portable: eight table look-ups per eight bytes.

static uint32_t table[8][256];

__attribute__((constructor)) static void fill_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++) {
            remainder = (remainder >> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
        }
        table[0][byte] = remainder;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t shorter = table[slice - 1][byte];
            table[slice][byte] = (shorter >> 8) ^ table[0][shorter & 0xff];
        }
    }
}

static uint64_t load_little_endian(const uint8_t *bytes) {
    uint64_t word;
    __builtin_memcpy(&word, bytes, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t skein_crc32c_portable(uint32_t checksum, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    uint32_t remainder = ~checksum;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word = load_little_endian(next) ^ remainder;
        remainder = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^ table[5][(word >> 16) & 0xff]
            ^ table[4][(word >> 24) & 0xff] ^ table[3][(word >> 32) & 0xff] ^ table[2][(word >> 40) & 0xff]
            ^ table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
    }
    for (; count > 0; count--, next++) {
        remainder = (remainder >> 8) ^ table[0][(remainder ^ *next) & 0xff];
    }
    return ~remainder;
}

// ---------------------------------------------------------------------------------------------------------------
// Processors with a CRC-32C instruction.

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE "sse4.2"
#define HARDWARE_TARGET __attribute__((target("sse4.2")))
#define STEP_WORD(remainder, word) ((uint32_t)_mm_crc32_u64((remainder), (word)))
#define STEP_BYTE(remainder, byte) _mm_crc32_u8((remainder), (byte))

static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__)
#define HARDWARE "arm-crc"
#define HARDWARE_TARGET __attribute__((target("crc")))
#if defined(__clang__)
#define STEP_WORD(remainder, word) __builtin_arm_crc32cd((remainder), (word))
#define STEP_BYTE(remainder, byte) __builtin_arm_crc32cb((remainder), (byte))
#else
#define STEP_WORD(remainder, word) __builtin_aarch64_crc32cx((remainder), (word))
#define STEP_BYTE(remainder, byte) __builtin_aarch64_crc32cb((remainder), (byte))
#endif

#if defined(__linux__)
#include <sys/auxv.h>
// Bit 7 of AT_HWCAP is HWCAP_CRC32 on Linux for arm64.
static int has_instruction(void) { return (getauxval(AT_HWCAP) & (1ul << 7)) != 0; }
#else
// Every arm64 Mac has the instruction.
static int has_instruction(void) { return 1; }
#endif
#endif

#if defined(HARDWARE)

// Product of two polynomials modulo the CRC polynomial, both reflected: bit 31 is the coefficient of x^0.
static uint32_t multiply(uint32_t left, uint32_t right) {
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        product ^= right & (0u - ((left >> bit) & 1));
        right = (right >> 1) ^ (POLYNOMIAL & (0u - (right & 1)));
    }
    return product;
}

// x^(8 n) modulo the polynomial, by squaring.
static uint32_t power_of_bytes(uint32_t count) {
    uint32_t power = 0x80000000u, square = 0x00800000u;
    for (; count > 0; count >>= 1) {
        if (count & 1) {
            power = multiply(power, square);
        }
        square = multiply(square, square);
    }
    return power;
}

static uint32_t long_power, short_power;
static int is_available;

__attribute__((constructor)) static void prepare_hardware(void) {
    long_power = power_of_bytes(LONG_STREAM);
    short_power = power_of_bytes(SHORT_STREAM);
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    is_available = has_instruction();
}

HARDWARE_TARGET static uint32_t three_streams(
    uint32_t remainder, const uint8_t *bytes, size_t stream, uint32_t power) {
    uint32_t first = remainder, second = 0, third = 0;
    for (size_t offset = 0; offset < stream; offset += 8) {
        first = STEP_WORD(first, load_little_endian(bytes + offset));
        second = STEP_WORD(second, load_little_endian(bytes + stream + offset));
        third = STEP_WORD(third, load_little_endian(bytes + 2 * stream + offset));
    }
    return multiply(multiply(first, power) ^ second, power) ^ third;
}

HARDWARE_TARGET static uint32_t hardware(uint32_t checksum, const uint8_t *bytes, size_t count) {
    uint32_t remainder = ~checksum;
    for (; count >= 3 * LONG_STREAM; count -= 3 * LONG_STREAM, bytes += 3 * LONG_STREAM) {
        remainder = three_streams(remainder, bytes, LONG_STREAM, long_power);
    }
    for (; count >= 3 * SHORT_STREAM; count -= 3 * SHORT_STREAM, bytes += 3 * SHORT_STREAM) {
        remainder = three_streams(remainder, bytes, SHORT_STREAM, short_power);
    }
    for (; count >= 8; count -= 8, bytes += 8) {
        remainder = STEP_WORD(remainder, load_little_endian(bytes));
    }
    for (; count > 0; count--, bytes++) {
        remainder = STEP_BYTE(remainder, *bytes);
    }
    return ~remainder;
}

#endif

uint32_t skein_crc32c(uint32_t checksum, const void *bytes, size_t count) {
#if defined(HARDWARE)
    if (is_available) {
        return hardware(checksum, bytes, count);
    }
#endif
    return skein_crc32c_portable(checksum, bytes, count);
}

const char *skein_crc32c_implementation(void) {
#if defined(HARDWARE)
    if (is_available) {
        return HARDWARE;
    }
#endif
    return "portable";
}
