// Products of matrices by strips: sixteen rows of weights at a time, one in each lane of the processor's vectors. Their
// values are put side by side while they come from memory, once for up to sixteen rows of activations, so a step of a
// few rows takes as long as reading the weights does. What is computed for a row of activations depends on that row
// alone, not on how many there are, on the threads or on the height of the matrix.
// docs/decisions/0030-products-by-strips.md has the figures.
//
// Activations come as the library rounds them for its dot products (block_q8_0, block_q8_K). All sums within a block
// are of whole numbers, and exact.
#pragma once
#include "ggml-cpu-impl.h"

#include <immintrin.h>
#include <string.h>

#define SKEIN_STRIP 16  // Rows of weights that are multiplied at a time.

enum {
    SKEIN_TILE       = 16,     // Rows of activations that are multiplied at a time, at most.
    SKEIN_MOST_NOTES = 16384,  // Of activations, that are prepared at a time.
    SKEIN_AHEAD      = 2,      // Strips that weights are fetched ahead.
};

// What is worked out once of some of a row's activations. The processor multiplies unsigned with signed values, so
// some types' weights are offset; `low` and `lows` take away what that adds.
union skein_note {
    struct {
        float   factor;
        int32_t low;
    } q8_0;           // Of 32 values.
    int16_t sums[4];  // q4_K, q5_K: of four times 32 values, the first, third, second and fourth.
    int32_t lows[2];  // q6_K: of twice 16 values.
};

// One product of matrices. Strides in bytes; `ldc` in floats.
struct skein_product {
    const char *             weights;
    int64_t                  weight_stride;
    const char *             rows;
    int64_t                  row_stride;
    const union skein_note * notes;       // Of the rows, `note_count` each.
    int64_t                  note_count;
    int64_t                  block_count;  // Of a row.
    float *                  out;
    int64_t                  ldc;
};

// A strip's rows on their way through their blocks: the last row stands for those that are not there.
struct skein_rows {
    const char * block;
    int64_t      stride;
    int          count;
};

// Rows of activations on their way.
struct skein_others {
    const char *             block;
    int64_t                  stride;
    const union skein_note * notes;
    int64_t                  note_stride;
    int                      count;
};

#define SKEIN_INLINE static inline __attribute__((always_inline))

// Source: block_q8_0, block_q4_K, block_q5_K, block_q6_K and block_q8_K of ggml.
SKEIN_INLINE int64_t skein_block_bytes(int type) {
    switch (type) {
        case SKEIN_TYPE_Q8_0: return 34;
        case SKEIN_TYPE_Q4_K: return 144;
        case SKEIN_TYPE_Q5_K: return 176;
        case SKEIN_TYPE_Q6_K: return 210;
        default: return 292;
    }
}

SKEIN_INLINE int skein_other(int type) { return type == SKEIN_TYPE_Q8_0 ? SKEIN_TYPE_Q8_0 : SKEIN_TYPE_Q8_K; }

// Notes of a block.
SKEIN_INLINE int64_t skein_block_notes(int type) {
    switch (type) {
        case SKEIN_TYPE_Q8_0: return 1;
        case SKEIN_TYPE_Q6_K: return 8;
        default: return 2;
    }
}

// Whether weights of a type are multiplied here with activations of another, `k` blocks a row.
static inline bool skein_multiplies(int type, int other, int64_t k) {
    const bool is_known =
        type == SKEIN_TYPE_Q8_0 || type == SKEIN_TYPE_Q4_K || type == SKEIN_TYPE_Q5_K || type == SKEIN_TYPE_Q6_K;
    return is_known && other == skein_other(type) && k * skein_block_notes(type) * SKEIN_TILE <= SKEIN_MOST_NOTES;
}

// --- activations --------------------------------------------------------------------------------------------------

SKEIN_INLINE void skein_prepare_block(int type, union skein_note * out, const char * block) {
    if (type == SKEIN_TYPE_Q8_0) {
        uint16_t factor;
        memcpy(&factor, block, sizeof(factor));
        const __m256i values = _mm256_loadu_si256((const __m256i *) (block + sizeof(factor)));
        const __m256i sums   = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), values);
        __m128i       sum    = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        sum                  = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
        sum                  = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
        out->q8_0.factor     = _cvtsh_ss(factor);
        out->q8_0.low        = -128 * _mm_cvtsi128_si32(sum);
        return;
    }
    int16_t sums[16];  // Of 16 values each.
    memcpy(sums, block + sizeof(float) + 256, sizeof(sums));
    for (int index = 0; index < 8; index++) {
        const int first = sums[2 * index], second = sums[2 * index + 1];
        if (type == SKEIN_TYPE_Q6_K) {
            out[index].lows[0] = -32 * first;
            out[index].lows[1] = -32 * second;
        } else {
            out[index / 4].sums[index % 4 / 2 + 2 * (index % 2)] = (int16_t) (first + second);
        }
    }
}

// --- weights ------------------------------------------------------------------------------------------------------

SKEIN_INLINE const char * skein_row(const struct skein_rows * rows, int index) {
    return rows->block + (index < rows->count ? index : rows->count - 1) * rows->stride;
}

// In each quarter of four vectors, word j of vector i becomes word i of vector j.
SKEIN_INLINE void skein_transpose(const __m512i * in, __m512i * out) {
    const __m512i a = _mm512_unpacklo_epi32(in[0], in[1]), b = _mm512_unpackhi_epi32(in[0], in[1]);
    const __m512i c = _mm512_unpacklo_epi32(in[2], in[3]), d = _mm512_unpackhi_epi32(in[2], in[3]);
    out[0]          = _mm512_unpacklo_epi64(a, c);
    out[1]          = _mm512_unpackhi_epi64(a, c);
    out[2]          = _mm512_unpacklo_epi64(b, d);
    out[3]          = _mm512_unpackhi_epi64(b, d);
}

// 32 bytes of each of a strip's rows: out[g] has the bytes 4g to 4g + 3 of all of them.
SKEIN_INLINE void skein_interleave(const struct skein_rows * rows, int64_t offset, __m512i * out) {
    __m512i parts[2][4];
    for (int half = 0; half < 2; half++) {
        __m512i pairs[4];
        for (int index = 0; index < 4; index++) {
            const char * first  = skein_row(rows, 8 * half + index) + offset;
            const char * second = skein_row(rows, 8 * half + 4 + index) + offset;
            pairs[index] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *) first)),
                                              _mm256_loadu_si256((const __m256i *) second), 1);
        }
        skein_transpose(pairs, parts[half]);
    }
    for (int group = 0; group < 4; group++) {
        out[group]     = _mm512_shuffle_i64x2(parts[0][group], parts[1][group], 0x88);
        out[group + 4] = _mm512_shuffle_i64x2(parts[0][group], parts[1][group], 0xDD);
    }
}

// The same of 16 bytes.
SKEIN_INLINE void skein_interleave_few(const struct skein_rows * rows, int64_t offset, __m512i * out) {
    __m512i fours[4];
    for (int index = 0; index < 4; index++) {
        __m512i four = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *) (skein_row(rows, index) + offset)));
        four         = _mm512_inserti32x4(
            four, _mm_loadu_si128((const __m128i *) (skein_row(rows, 4 + index) + offset)), 1);
        four = _mm512_inserti32x4(
            four, _mm_loadu_si128((const __m128i *) (skein_row(rows, 8 + index) + offset)), 2);
        fours[index] = _mm512_inserti32x4(
            four, _mm_loadu_si128((const __m128i *) (skein_row(rows, 12 + index) + offset)), 3);
    }
    skein_transpose(fours, out);
}

// A number in f16 of each of a strip's rows.
SKEIN_INLINE void skein_read_halves(const struct skein_rows * rows, int64_t offset, uint16_t * out) {
    for (int index = 0; index < SKEIN_STRIP; index++) {
        memcpy(out + index, skein_row(rows, index) + offset, sizeof(*out));
    }
}

// Numbers in f16 that stand in the lower halves of words.
SKEIN_INLINE __m512 skein_floats(__m512i words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }

// Byte `index` of every word, as a number.
SKEIN_INLINE __m512 skein_byte(__m512i words, int index, bool is_signed) {
    const __m512i top = _mm512_slli_epi32(words, 24 - 8 * index);
    return _mm512_cvtepi32_ps(is_signed ? _mm512_srai_epi32(top, 24) : _mm512_srli_epi32(top, 24));
}

SKEIN_INLINE __m512i skein_bits(__m512i bytes, int shift, int mask) {
    const __m512i moved = shift < 0 ? _mm512_slli_epi16(bytes, -shift) : _mm512_srli_epi16(bytes, shift);
    return _mm512_and_si512(moved, _mm512_set1_epi8((char) mask));
}

// --- products -----------------------------------------------------------------------------------------------------

// Adds up `groups` times four of the weights' values with those of one row.
SKEIN_INLINE __m512i skein_add(__m512i sum, const __m512i * values, const char * others, int groups) {
    for (int group = 0; group < groups; group++) {
        int32_t four;
        memcpy(&four, others + 4 * group, sizeof(four));
        sum = _mm512_dpbusd_epi32(sum, values[group], _mm512_set1_epi32(four));
    }
    return sum;
}

SKEIN_INLINE __m512 skein_factor(const struct skein_others * others, int index) {
    float factor;
    memcpy(&factor, others->block + index * others->stride, sizeof(factor));
    return _mm512_set1_ps(factor);
}

// A strip is one piece of memory, so it is fetched in its own order: bytes of a strip further on, if there is one.
SKEIN_INLINE void skein_fetch(const char * ahead, int64_t start, int64_t end) {
    if (ahead) {
        for (int64_t byte = (start + 63) / 64 * 64; byte < end; byte += 64) {
            __builtin_prefetch(ahead + byte, 0, 2);
        }
    }
}

SKEIN_INLINE void skein_block_q8_0(const __m512i * values, __m512 factors, const struct skein_others * others,
                                   __m512 * sums) {
    for (int index = 0; index < others->count; index++) {
        const union skein_note * note = others->notes + index * others->note_stride;
        const char *             row  = others->block + index * others->stride + sizeof(uint16_t);
        const __m512i            sum  = skein_add(_mm512_set1_epi32(note->q8_0.low), values, row, 8);
        const __m512             factor = _mm512_mul_ps(factors, _mm512_set1_ps(note->q8_0.factor));
        sums[index] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(sum), sums[index]);
    }
}

// The 32 values of a block of q4_K or q5_K from the `part` times 32nd on.
SKEIN_INLINE void skein_part_q4_K(const __m512i * values, int part, __m512 factors,
                                  const struct skein_others * others, __m512 * sums) {
    for (int index = 0; index < others->count; index++) {
        const char *  row = others->block + index * others->stride + sizeof(float) + 32 * part;
        const __m512i sum = skein_add(_mm512_setzero_si512(), values, row, 8);
        sums[index]       = _mm512_fmadd_ps(factors, _mm512_cvtepi32_ps(sum), sums[index]);
    }
}

// The same of q6_K, whose weights have a factor for 16 values each.
SKEIN_INLINE void skein_part_q6_K(const __m512i * values, int part, const __m512 * factors,
                                  const struct skein_others * others, __m512 * sums) {
    for (int index = 0; index < others->count; index++) {
        const union skein_note * note = others->notes + index * others->note_stride + part;
        const char *             row  = others->block + index * others->stride + sizeof(float) + 32 * part;
        for (int half = 0; half < 2; half++) {
            const __m512i sum =
                skein_add(_mm512_set1_epi32(note->lows[half]), values + 4 * half, row + 16 * half, 4);
            sums[index] = _mm512_fmadd_ps(factors[half], _mm512_cvtepi32_ps(sum), sums[index]);
        }
    }
}

// What `part` of eight of a strip's block is fetched: lines that are asked for all at once hold up what is read now.
SKEIN_INLINE void skein_fetch_part(int type, const char * ahead, int part) {
    const int64_t bytes = SKEIN_STRIP / 8 * skein_block_bytes(type);
    skein_fetch(ahead, part * bytes, (part + 1) * bytes);
}

// A block of q4_K or q5_K: factors and least values in six bits for 32 values each, and the values in four bits, the
// fifth elsewhere. A weight is its factor times its value, less its least value.
SKEIN_INLINE void skein_block_q4_K(int type, const struct skein_rows * rows, const struct skein_others * others,
                                   __m512 * sums, const char * ahead) {
    __m512i words[4];
    skein_interleave_few(rows, 0, words);
    const __m512  factor = skein_floats(words[0]);
    const __m512  least  = skein_floats(_mm512_srli_epi32(words[0], 16));
    const __m512i six = _mm512_set1_epi8(0x3F), four = _mm512_set1_epi8(0x0F), two = _mm512_set1_epi8(0x30);
    const __m512i steps[2] = {
        _mm512_and_si512(words[1], six),
        _mm512_or_si512(_mm512_and_si512(words[3], four), _mm512_and_si512(_mm512_srli_epi32(words[1], 2), two)),
    };
    const __m512i floors[2] = {
        _mm512_and_si512(words[2], six),
        _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(words[3], 4), four),
                        _mm512_and_si512(_mm512_srli_epi32(words[2], 2), two)),
    };
    __m512 parts[SKEIN_TILE];
    for (int index = 0; index < others->count; index++) {
        parts[index] = _mm512_setzero_ps();
    }
    __m512i fifths[8];
    if (type == SKEIN_TYPE_Q5_K) {
        skein_interleave(rows, 16, fifths);
    }
    const int64_t start = type == SKEIN_TYPE_Q5_K ? 48 : 16;
    for (int pair = 0; pair < 4; pair++) {
        __m512i both[8];
        skein_interleave(rows, start + 32 * pair, both);
        for (int half = 0; half < 2; half++) {
            const int part = 2 * pair + half;
            __m512i   values[8];
            for (int group = 0; group < 8; group++) {
                values[group] = skein_bits(both[group], 4 * half, 0x0F);
                if (type == SKEIN_TYPE_Q5_K) {
                    values[group] = _mm512_or_si512(values[group], skein_bits(fifths[group], part - 4, 0x10));
                }
            }
            skein_fetch_part(type, ahead, part);
            const __m512 factors = _mm512_mul_ps(factor, skein_byte(steps[part / 4], part % 4, false));
            skein_part_q4_K(values, part, factors, others, parts);
        }
    }
    const __m512i low      = _mm512_set1_epi16(0xFF);
    const __m512i pairs[4] = {
        _mm512_and_si512(floors[0], low), _mm512_and_si512(_mm512_srli_epi32(floors[0], 8), low),
        _mm512_and_si512(floors[1], low), _mm512_and_si512(_mm512_srli_epi32(floors[1], 8), low),
    };
    for (int index = 0; index < others->count; index++) {
        const union skein_note * notes = others->notes + index * others->note_stride;
        __m512i                  sum   = _mm512_setzero_si512();
        for (int pair = 0; pair < 4; pair++) {
            int32_t two_sums;
            memcpy(&two_sums, notes[pair / 2].sums + 2 * (pair % 2), sizeof(two_sums));
            sum = _mm512_dpwssd_epi32(sum, pairs[pair], _mm512_set1_epi32(two_sums));
        }
        const __m512 whole = _mm512_fnmadd_ps(least, _mm512_cvtepi32_ps(sum), parts[index]);
        sums[index]        = _mm512_fmadd_ps(skein_factor(others, index), whole, sums[index]);
    }
}

// A block of q6_K: values in four bits and two elsewhere, and a factor in eight bits for 16 values each.
SKEIN_INLINE void skein_block_q6_K(const struct skein_rows * rows, __m512 factor, const struct skein_others * others,
                                   __m512 * sums, const char * ahead) {
    __m512i steps[4];
    skein_interleave_few(rows, 192, steps);
    __m512 parts[SKEIN_TILE];
    for (int index = 0; index < others->count; index++) {
        parts[index] = _mm512_setzero_ps();
    }
    for (int half = 0; half < 2; half++) {
        __m512i twos[8];
        skein_interleave(rows, 128 + 32 * half, twos);
        // A byte has a value's four bits and those of the value 64 further on.
        for (int pair = 0; pair < 2; pair++) {
            __m512i both[8];
            skein_interleave(rows, 64 * half + 32 * pair, both);
            for (int high = 0; high < 2; high++) {
                const int quarter = pair + 2 * high, part = 4 * half + quarter;
                __m512i   values[8];
                for (int group = 0; group < 8; group++) {
                    values[group] = _mm512_or_si512(skein_bits(both[group], 4 * high, 0x0F),
                                                    skein_bits(twos[group], 2 * quarter - 4, 0x30));
                }
                skein_fetch_part(SKEIN_TYPE_Q6_K, ahead, part);
                const __m512 factors[2] = {
                    skein_byte(steps[part / 2], 2 * (part % 2), true),
                    skein_byte(steps[part / 2], 2 * (part % 2) + 1, true),
                };
                skein_part_q6_K(values, part, factors, others, parts);
            }
        }
    }
    for (int index = 0; index < others->count; index++) {
        const __m512 factors = _mm512_mul_ps(factor, skein_factor(others, index));
        sums[index]          = _mm512_fmadd_ps(factors, parts[index], sums[index]);
    }
}

// `height` rows of a strip's weights times `count` rows of activations. `ahead` is what is fetched meanwhile, or NULL.
SKEIN_INLINE void skein_tile(int type, const struct skein_product * in, int64_t first, int height, int64_t row,
                             int count, const char * ahead) {
    const int64_t       bytes = skein_block_bytes(type), note_count = skein_block_notes(type);
    struct skein_rows   rows   = { in->weights + first * in->weight_stride, in->weight_stride, height };
    struct skein_others others = { in->rows + row * in->row_stride, in->row_stride,
                                   in->notes + row * in->note_count, in->note_count, count };
    __m512              sums[SKEIN_TILE];
    for (int index = 0; index < count; index++) {
        sums[index] = _mm512_setzero_ps();
    }
    // A row's factor in f16 is written one block before it is read: what has just been written in parts is not there
    // yet when it is read as a whole.
    const int64_t         place = type == SKEIN_TYPE_Q6_K ? 208 : 0;
    const bool            reads = type == SKEIN_TYPE_Q6_K || type == SKEIN_TYPE_Q8_0;
    _Alignas(32) uint16_t halves[2][SKEIN_STRIP];
    if (reads) {
        skein_read_halves(&rows, place, halves[0]);
    }
#pragma clang loop unroll(disable)
    for (int64_t b = 0; b < in->block_count; b++) {
        if (reads && b + 1 < in->block_count) {
            skein_read_halves(&rows, place + bytes, halves[(b + 1) % 2]);
        }
        const char * fetched = ahead ? ahead + b * SKEIN_STRIP * bytes : NULL;
        const __m512 factors =
            reads ? _mm512_cvtph_ps(_mm256_load_si256((const __m256i *) halves[b % 2])) : _mm512_setzero_ps();
        if (type == SKEIN_TYPE_Q8_0) {
            skein_fetch(fetched, 0, SKEIN_STRIP * bytes);
            __m512i values[8];
            skein_interleave(&rows, sizeof(uint16_t), values);
            for (int group = 0; group < 8; group++) {
                values[group] = _mm512_xor_si512(values[group], _mm512_set1_epi8((char) 0x80));
            }
            skein_block_q8_0(values, factors, &others, sums);
        } else if (type == SKEIN_TYPE_Q6_K) {
            skein_block_q6_K(&rows, factors, &others, sums, fetched);
        } else {
            skein_block_q4_K(type, &rows, &others, sums, fetched);
        }
        rows.block += bytes;
        others.block += skein_block_bytes(skein_other(type));
        others.notes += note_count;
    }
    const __mmask16 written = (__mmask16) ((1u << height) - 1);
    for (int index = 0; index < count; index++) {
        _mm512_mask_storeu_ps(in->out + (row + index) * in->ldc + first, written, sums[index]);
    }
}

// A strip's weights times `count` rows of activations, as many at a time as there are registers for.
SKEIN_INLINE void skein_strip(int type, const struct skein_product * in, int64_t first, int height, int64_t count,
                              const char * ahead) {
    for (int64_t row = 0; row < count; row += SKEIN_TILE) {
        const char * fetched = row == 0 ? ahead : NULL;
        const int    left    = count - row < SKEIN_TILE ? (int) (count - row) : SKEIN_TILE;
        if (height < SKEIN_STRIP) {
            for (int index = 0; index < left; index++) {
                skein_tile(type, in, first, height, row + index, 1, NULL);
            }
            continue;
        }
        switch (left) {
#define SKEIN_CASE(n) \
    case n: skein_tile(type, in, first, SKEIN_STRIP, row, n, fetched); break;
            SKEIN_CASE(1) SKEIN_CASE(2) SKEIN_CASE(3) SKEIN_CASE(4) SKEIN_CASE(5) SKEIN_CASE(6) SKEIN_CASE(7)
            SKEIN_CASE(8) SKEIN_CASE(9) SKEIN_CASE(10) SKEIN_CASE(11) SKEIN_CASE(12) SKEIN_CASE(13) SKEIN_CASE(14)
            SKEIN_CASE(15) SKEIN_CASE(16)
#undef SKEIN_CASE
        }
    }
}

// A thread's part of a product.
SKEIN_INLINE void skein_multiply_type(int type, const struct ggml_compute_params * params, int64_t m, int64_t n,
                                      int64_t k, const char * A, int64_t lda, const char * B, int64_t ldb, float * C,
                                      int64_t ldc) {
    // Jobs of strips side by side, several for each thread, as threads are not equally quick.
    const int64_t strips = (m + SKEIN_STRIP - 1) / SKEIN_STRIP;
    const int64_t share  = strips / (4 * params->nth);
    const int64_t size   = share > 0 ? share : 1;
    const int64_t jobs   = (strips + size - 1) / size;
    // The counter that hands them out was set for the first product of a node, whose activations are the first in the
    // work buffer. Of further ones each thread has its share.
    const bool    is_first    = B == params->wdata;
    const int64_t other_bytes = skein_block_bytes(skein_other(type));
    const int64_t notes       = k * skein_block_notes(type);
    const int64_t most        = SKEIN_MOST_NOTES / notes / SKEIN_TILE * SKEIN_TILE;  // Rows that are prepared.

    union skein_note     prepared[SKEIN_MOST_NOTES];
    struct skein_product in          = { A, lda * skein_block_bytes(type), NULL, ldb * other_bytes, prepared, notes, k,
                                         NULL, ldc };
    const int64_t        strip_bytes = SKEIN_STRIP * in.weight_stride;
    for (int64_t job = params->ith, next; job < jobs; job = next) {
        next = is_first ? ggml_threadpool_chunk_add(params->threadpool, 1) : job + params->nth;
        const int64_t end = (job + 1) * size < strips ? (job + 1) * size : strips;
        for (int64_t group = 0; group < n; group += most) {
            const int64_t rows = n - group < most ? n - group : most;
            in.rows            = B + group * in.row_stride;
            in.out             = C + group * ldc;
            // What was prepared for one job serves the next one.
            if (job == params->ith || rows < n) {
                for (int64_t row = 0; row < rows; row++) {
                    for (int64_t b = 0; b < k; b++) {
                        skein_prepare_block(type, prepared + row * notes + b * skein_block_notes(type),
                                            in.rows + row * in.row_stride + b * other_bytes);
                    }
                }
            }
            for (int64_t strip = job * size; strip < end; strip++) {
                // Behind a job comes the next one of this thread.
                const int64_t later = strip + SKEIN_AHEAD < end ? strip + SKEIN_AHEAD
                                                                : next * size + strip + SKEIN_AHEAD - end;
                const int64_t first  = strip * SKEIN_STRIP;
                const int     height = m - first < SKEIN_STRIP ? (int) (m - first) : SKEIN_STRIP;
                skein_strip(type, &in, first, height, rows, A + later * strip_bytes);
            }
        }
    }
}

static void skein_multiply(int type, const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k,
                           const char * A, int64_t lda, const char * B, int64_t ldb, float * C, int64_t ldc) {
    switch (type) {
        case SKEIN_TYPE_Q8_0: skein_multiply_type(SKEIN_TYPE_Q8_0, params, m, n, k, A, lda, B, ldb, C, ldc); break;
        case SKEIN_TYPE_Q4_K: skein_multiply_type(SKEIN_TYPE_Q4_K, params, m, n, k, A, lda, B, ldb, C, ldc); break;
        case SKEIN_TYPE_Q5_K: skein_multiply_type(SKEIN_TYPE_Q5_K, params, m, n, k, A, lda, B, ldb, C, ldc); break;
        case SKEIN_TYPE_Q6_K: skein_multiply_type(SKEIN_TYPE_Q6_K, params, m, n, k, A, lda, B, ldb, C, ldc); break;
    }
}
