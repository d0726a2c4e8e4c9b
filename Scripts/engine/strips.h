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
#define SKEIN_INLINE static inline __attribute__((always_inline))

enum {
    SKEIN_TILE     = 16,          // Rows of activations that are multiplied at a time, at most.
    SKEIN_MOST     = 512,         // … prepared at a time, at most.
    SKEIN_PREPARED = 320 * 1024,  // Bytes of activations that a thread prepares at a time, on its stack.
    SKEIN_AHEAD    = 2,           // Strips that weights are fetched ahead.
    SKEIN_TOGETHER = 4,           // Rows whose sums do not wait for each other.
    SKEIN_KEPT     = 64 * 1024,   // Bytes of weights that are put side by side for many rows, on the thread's stack.
};

// Where a product's rows of activations are, and where what comes of them goes. Strides in bytes. Those of an expert's
// matrix are chosen: by their place among the experts of a token, and the token.
struct skein_places {
    const char *    rows;
    int64_t         row_stride;
    char *          out;
    int64_t         out_stride;
    const int32_t * chosen;        // Pairs, or NULL.
    int64_t         slots;         // Rows of a token.
    int64_t         token_stride;  // Of what comes out.
};

// Some of a row's activations, prepared: the values, their factor, and what the weights' type asks for. The processor
// multiplies unsigned with signed values, so some types' weights are offset; `low` and `lows` take away what that adds.
struct skein_q8_0 {
    int8_t  values[32];
    float   factor;
    int32_t low;
};

struct skein_q8_K {
    int8_t values[256];
    float  factor;
    union {
        int16_t sums[8];   // q4_K, q5_K: of 32 values each, in the order 0 2 1 3, 4 6 5 7.
        int32_t lows[16];  // q6_K: of 16 values each.
    };
};

// Weights, activations that are prepared, and where each row's products go. The stride in bytes.
struct skein_product {
    const char * weights;
    int64_t      weight_stride;
    int64_t      start;        // Of a row's blocks the first one, …
    int64_t      block_count;  // … and how many are multiplied now. Sums go on where those before ended.
    const char * prepared;
    float **     outs;
};

// A strip's rows on their way through their blocks, by the addresses of every fourth: those between are at most
// three strides away, which the processor adds while it reads. An address of each would not fit into its registers.
struct skein_weights {
    const char * fours[4];
    int64_t      stride;
    int64_t      three;  // Strides, in bytes.
};

// Rows of activations on their way: of each block those of all rows, one behind the other, so that one address leads to
// all of them.
struct skein_activations {
    const char * block;
    int          count;
};

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

SKEIN_INLINE int skein_activation_type(int type) { return type == SKEIN_TYPE_Q8_0 ? SKEIN_TYPE_Q8_0 : SKEIN_TYPE_Q8_K; }

// Of a prepared block.
SKEIN_INLINE int64_t skein_prepared_bytes(int type) {
    return type == SKEIN_TYPE_Q8_0 ? sizeof(struct skein_q8_0) : sizeof(struct skein_q8_K);
}

// Whether `m` rows of weights of a type are multiplied here with activations of another, `k` blocks a row: the types of
// skein_multiply and of extras_multiplies_by_strips. The library's reference mode is not asked about: single rows are
// computed in it (LlamaContext.decode) and must get the bits they have beside others.
static inline bool skein_multiplies(int type, int other, int64_t m, int64_t k) {
    const bool is_known =
        type == SKEIN_TYPE_Q8_0 || type == SKEIN_TYPE_Q4_K || type == SKEIN_TYPE_Q5_K || type == SKEIN_TYPE_Q6_K;
    return is_known && other == skein_activation_type(type) && m >= SKEIN_STRIP &&
           k * skein_prepared_bytes(type) <= SKEIN_PREPARED;
}

// --- activations --------------------------------------------------------------------------------------------------

SKEIN_INLINE void skein_prepare_q8_0(struct skein_q8_0 * out, const char * block) {
    uint16_t factor;
    memcpy(&factor, block, sizeof(factor));
    const __m256i values = _mm256_loadu_si256((const __m256i *) (block + sizeof(factor)));
    const __m256i sums   = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), values);
    __m128i       sum    = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum                  = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum                  = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    _mm256_storeu_si256((__m256i *) out->values, values);
    out->factor = _cvtsh_ss(factor);
    out->low    = -128 * _mm_cvtsi128_si32(sum);
}

SKEIN_INLINE void skein_prepare_q8_K(int type, struct skein_q8_K * out, const char * block) {
    int16_t sums[16];  // Of 16 values each.
    memcpy(&out->factor, block, sizeof(out->factor));
    memcpy(out->values, block + sizeof(float), sizeof(out->values));
    memcpy(sums, block + sizeof(float) + sizeof(out->values), sizeof(sums));
    for (int index = 0; index < 8; index++) {
        const int first = sums[2 * index], second = sums[2 * index + 1];
        if (type == SKEIN_TYPE_Q6_K) {
            out->lows[2 * index]     = -32 * first;
            out->lows[2 * index + 1] = -32 * second;
        } else {
            out->sums[index / 4 * 4 + index % 4 / 2 + 2 * (index % 2)] = (int16_t) (first + second);
        }
    }
}

SKEIN_INLINE const char * skein_row_of(const struct skein_places * places, int64_t index) {
    const int32_t * chosen = places->chosen ? places->chosen + 2 * index : NULL;
    return places->rows + (chosen ? chosen[0] % places->slots + chosen[1] * places->slots : index) * places->row_stride;
}

SKEIN_INLINE float * skein_out_of(const struct skein_places * places, int64_t index) {
    const int32_t * chosen = places->chosen ? places->chosen + 2 * index : NULL;
    return (float *) (places->out + (chosen ? chosen[0] : index) * places->out_stride +
                      (chosen ? chosen[1] * places->token_stride : 0));
}

// Prepares `blocks` blocks, from the `start` on, of up to SKEIN_TILE rows from the `first` on.
static void skein_prepare(int type, char * out, const struct skein_places * places, int64_t first, int count,
                          int64_t start, int64_t blocks) {
    const int64_t bytes = skein_block_bytes(skein_activation_type(type));
    for (int index = 0; index < count; index++) {
        const char * row = skein_row_of(places, first + index) + start * bytes;
        for (int64_t b = 0; b < blocks; b++) {
            char *       place = out + (b * count + index) * skein_prepared_bytes(type);
            const char * block = row + b * bytes;
            if (type == SKEIN_TYPE_Q8_0) {
                skein_prepare_q8_0((struct skein_q8_0 *) place, block);
            } else {
                skein_prepare_q8_K(type, (struct skein_q8_K *) place, block);
            }
        }
    }
}

// --- weights ------------------------------------------------------------------------------------------------------

SKEIN_INLINE struct skein_weights skein_weights_at(const char * first, int64_t stride) {
    const struct skein_weights weights = {
        { first, first + 4 * stride, first + 8 * stride, first + 12 * stride }, stride, 3 * stride
    };
    return weights;
}

SKEIN_INLINE const char * skein_weight_row(const struct skein_weights * weights, int index) {
    return weights->fours[index / 4] + (index % 4 == 3 ? weights->three : index % 4 * weights->stride);
}

// Moves them on. The compiler is not told by how much: it would keep an address for each row after all.
SKEIN_INLINE void skein_step(struct skein_weights * weights, int64_t bytes) {
    for (int four = 0; four < 4; four++) {
        weights->fours[four] += bytes;
        __asm__("" : "+r"(weights->fours[four]));
    }
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
SKEIN_INLINE void skein_interleave(const struct skein_weights * weights, int64_t offset, __m512i * out) {
    __m512i parts[2][4];
    for (int half = 0; half < 2; half++) {
        __m512i pairs[4];
        for (int index = 0; index < 4; index++) {
            const char * first  = skein_weight_row(weights, 8 * half + index) + offset;
            const char * second = skein_weight_row(weights, 8 * half + 4 + index) + offset;
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
SKEIN_INLINE void skein_interleave_few(const struct skein_weights * weights, int64_t offset, __m512i * out) {
    __m512i fours[4];
    for (int index = 0; index < 4; index++) {
        __m128i parts[4];
        for (int part = 0; part < 4; part++) {
            parts[part] = _mm_loadu_si128((const __m128i *) (skein_weight_row(weights, 4 * part + index) + offset));
        }
        __m512i four = _mm512_castsi128_si512(parts[0]);
        four         = _mm512_inserti32x4(four, parts[1], 1);
        four         = _mm512_inserti32x4(four, parts[2], 2);
        fours[index] = _mm512_inserti32x4(four, parts[3], 3);
    }
    skein_transpose(fours, out);
}

// A number in f16 of each of a strip's rows.
SKEIN_INLINE __m512 skein_read_halves(const struct skein_weights * weights, int64_t offset) {
    typedef uint16_t halves __attribute__((vector_size(32)));
    halves           out = { 0 };
    for (int index = 0; index < SKEIN_STRIP; index++) {
        uint16_t half;
        memcpy(&half, skein_weight_row(weights, index) + offset, sizeof(half));
        out[index] = half;
    }
    return _mm512_cvtph_ps((__m256i) out);
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

// Adds up `groups` times four of the weights' values with those of `count` rows, at most SKEIN_TOGETHER. One row's sum
// after the other would wait for itself eight times.
SKEIN_INLINE void skein_add(__m512i * sums, const __m512i * values, const int8_t * row, int64_t stride, int count,
                            int groups) {
#pragma clang loop unroll(full)
    for (int group = 0; group < groups; group++) {
#pragma clang loop unroll(full)
        for (int index = 0; index < count; index++) {
            int32_t four;
            memcpy(&four, row + index * stride + 4 * group, sizeof(four));
            sums[index] = _mm512_dpbusd_epi32(sums[index], values[group], _mm512_set1_epi32(four));
        }
    }
}

// How many of `count` rows are computed together from row `start` on.
SKEIN_INLINE int skein_few(int count, int start) {
    return count - start < SKEIN_TOGETHER ? count - start : SKEIN_TOGETHER;
}

// A strip usually is one piece of memory, so it is fetched in its own order: bytes of a strip further on, if there is
// one.
SKEIN_INLINE void skein_fetch(const char * ahead, int64_t start, int64_t end) {
    if (ahead) {
        for (int64_t byte = (start + 63) / 64 * 64; byte < end; byte += 64) {
            __builtin_prefetch(ahead + byte, 0, 2);
        }
    }
}

// 32 of a strip's weights side by side, and their factors: one, or for q6_K one for 16 each.
struct skein_part {
    __m512i values[8];
    __m512  factors[2];
};

SKEIN_INLINE void skein_part_q8_0(const struct skein_part * part, const struct skein_activations * activations,
                                  __m512 * sums) {
#pragma clang loop unroll(full)
    for (int start = 0; start < activations->count; start += SKEIN_TOGETHER) {
        const struct skein_q8_0 * rows = (const struct skein_q8_0 *) activations->block + start;
        const int                 few  = skein_few(activations->count, start);
        __m512i                   whole[SKEIN_TOGETHER];
        for (int index = 0; index < few; index++) {
            whole[index] = _mm512_set1_epi32(rows[index].low);
        }
        skein_add(whole, part->values, rows->values, sizeof(*rows), few, 8);
        for (int index = 0; index < few; index++) {
            const __m512 factor = _mm512_mul_ps(part->factors[0], _mm512_set1_ps(rows[index].factor));
            sums[start + index] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(whole[index]), sums[start + index]);
        }
    }
}

// The 32 values of a block of q4_K or q5_K from the `place` times 32nd on.
SKEIN_INLINE void skein_part_q4_K(const struct skein_part * part, int place,
                                  const struct skein_activations * activations, __m512 * sums) {
#pragma clang loop unroll(full)
    for (int start = 0; start < activations->count; start += SKEIN_TOGETHER) {
        const struct skein_q8_K * rows = (const struct skein_q8_K *) activations->block + start;
        const int                 few  = skein_few(activations->count, start);
        __m512i                   whole[SKEIN_TOGETHER];
        for (int index = 0; index < few; index++) {
            whole[index] = _mm512_setzero_si512();
        }
        skein_add(whole, part->values, rows->values + 32 * place, sizeof(*rows), few, 8);
        for (int index = 0; index < few; index++) {
            sums[start + index] =
                _mm512_fmadd_ps(part->factors[0], _mm512_cvtepi32_ps(whole[index]), sums[start + index]);
        }
    }
}

// The same of q6_K.
SKEIN_INLINE void skein_part_q6_K(const struct skein_part * part, int place,
                                  const struct skein_activations * activations, __m512 * sums) {
#pragma clang loop unroll(full)
    for (int start = 0; start < activations->count; start += SKEIN_TOGETHER) {
        const struct skein_q8_K * rows = (const struct skein_q8_K *) activations->block + start;
        const int                 few  = skein_few(activations->count, start);
        for (int half = 0; half < 2; half++) {
            const int sixteen = 2 * place + half;
            __m512i   whole[SKEIN_TOGETHER];
            for (int index = 0; index < few; index++) {
                whole[index] = _mm512_set1_epi32(rows[index].lows[sixteen]);
            }
            skein_add(whole, part->values + 4 * half, rows->values + 16 * sixteen, sizeof(*rows), few, 4);
            for (int index = 0; index < few; index++) {
                sums[start + index] =
                    _mm512_fmadd_ps(part->factors[half], _mm512_cvtepi32_ps(whole[index]), sums[start + index]);
            }
        }
    }
}

// What `part` of eight of a strip's block is fetched: lines that are asked for all at once hold up what is read now.
SKEIN_INLINE void skein_fetch_part(int type, const char * ahead, int part) {
    const int64_t bytes = SKEIN_STRIP / 8 * skein_block_bytes(type);
    skein_fetch(ahead, part * bytes, (part + 1) * bytes);
}

// A block of a strip's weights, put side by side: of q8_0 the first part alone.
struct skein_kept {
    struct skein_part parts[8];
    __m512i           floors[4];  // q4_K, q5_K: least values of two parts each.
    __m512            factor;     // Of those; q6_K: of the block.
};

SKEIN_INLINE int64_t skein_kept_bytes(int type) {
    return type == SKEIN_TYPE_Q8_0 ? sizeof(struct skein_part) : sizeof(struct skein_kept);
}

// From so many rows on a strip's weights are put side by side once for all of them.
SKEIN_INLINE int64_t skein_many(int type) { return type == SKEIN_TYPE_Q8_0 ? 64 : 32; }

// Of each type a block of weights is either multiplied while it is put side by side, or `kept` for many rows.
SKEIN_INLINE void skein_block_q8_0(const struct skein_weights * weights, const struct skein_activations * activations,
                                   __m512 * sums, const char * ahead, struct skein_kept * kept) {
    skein_fetch(ahead, 0, SKEIN_STRIP * skein_block_bytes(SKEIN_TYPE_Q8_0));
    struct skein_part part;
    part.factors[0] = skein_read_halves(weights, 0);
    skein_interleave(weights, sizeof(uint16_t), part.values);
    for (int group = 0; group < 8; group++) {
        part.values[group] = _mm512_xor_si512(part.values[group], _mm512_set1_epi8((char) 0x80));
    }
    if (kept) {
        memcpy(kept->parts[0].values, part.values, sizeof(part.values));
        kept->parts[0].factors[0] = part.factors[0];
    } else {
        skein_part_q8_0(&part, activations, sums);
    }
}

// Ends a block of q4_K or q5_K: takes away least values, and multiplies with the rows' factors.
SKEIN_INLINE void skein_end_q4_K(const __m512i * floors, __m512 least, const struct skein_activations * activations,
                                 const __m512 * parts, __m512 * sums) {
    for (int index = 0; index < activations->count; index++) {
        const struct skein_q8_K * row = (const struct skein_q8_K *) activations->block + index;
        __m512i                   sum = _mm512_setzero_si512();
        for (int pair = 0; pair < 4; pair++) {
            int32_t two_sums;
            memcpy(&two_sums, row->sums + 2 * pair, sizeof(two_sums));
            sum = _mm512_dpwssd_epi32(sum, floors[pair], _mm512_set1_epi32(two_sums));
        }
        const __m512 whole = _mm512_fnmadd_ps(least, _mm512_cvtepi32_ps(sum), parts[index]);
        sums[index]        = _mm512_fmadd_ps(_mm512_set1_ps(row->factor), whole, sums[index]);
    }
}

// A block of q4_K or q5_K: factors and least values in six bits for 32 values each, and the values in four bits, the
// fifth elsewhere. A weight is its factor times its value, less its least value.
SKEIN_INLINE void skein_block_q4_K(int type, const struct skein_weights * weights,
                                   const struct skein_activations * activations, __m512 * sums, const char * ahead,
                                   struct skein_kept * kept) {
    __m512i words[4];
    skein_interleave_few(weights, 0, words);
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
    for (int index = 0; index < activations->count; index++) {
        parts[index] = _mm512_setzero_ps();
    }
    __m512i fifths[8];
    if (type == SKEIN_TYPE_Q5_K) {
        skein_interleave(weights, 16, fifths);
    }
    const int64_t start = type == SKEIN_TYPE_Q5_K ? 48 : 16;
    for (int pair = 0; pair < 4; pair++) {
        __m512i both[8];
        skein_interleave(weights, start + 32 * pair, both);
        for (int half = 0; half < 2; half++) {
            const int         place = 2 * pair + half;
            struct skein_part part;
            for (int group = 0; group < 8; group++) {
                part.values[group] = skein_bits(both[group], 4 * half, 0x0F);
                if (type == SKEIN_TYPE_Q5_K) {
                    const __m512i fifth = skein_bits(fifths[group], place - 4, 0x10);
                    part.values[group]  = _mm512_or_si512(part.values[group], fifth);
                }
            }
            skein_fetch_part(type, ahead, place);
            part.factors[0] = _mm512_mul_ps(factor, skein_byte(steps[place / 4], place % 4, false));
            if (kept) {
                memcpy(kept->parts[place].values, part.values, sizeof(part.values));
                kept->parts[place].factors[0] = part.factors[0];
            } else {
                skein_part_q4_K(&part, place, activations, parts);
            }
        }
    }
    const __m512i low      = _mm512_set1_epi16(0xFF);
    const __m512i pairs[4] = {
        _mm512_and_si512(floors[0], low), _mm512_and_si512(_mm512_srli_epi32(floors[0], 8), low),
        _mm512_and_si512(floors[1], low), _mm512_and_si512(_mm512_srli_epi32(floors[1], 8), low),
    };
    if (kept) {
        memcpy(kept->floors, pairs, sizeof(pairs));
        kept->factor = least;
    } else {
        skein_end_q4_K(pairs, least, activations, parts, sums);
    }
}

// Ends a block of q6_K.
SKEIN_INLINE void skein_end_q6_K(__m512 factor, const struct skein_activations * activations, const __m512 * parts,
                                 __m512 * sums) {
    for (int index = 0; index < activations->count; index++) {
        const struct skein_q8_K * row     = (const struct skein_q8_K *) activations->block + index;
        const __m512              factors = _mm512_mul_ps(factor, _mm512_set1_ps(row->factor));
        sums[index]                       = _mm512_fmadd_ps(factors, parts[index], sums[index]);
    }
}

// A block of q6_K: values in four bits and two elsewhere, and a factor in eight bits for 16 values each.
SKEIN_INLINE void skein_block_q6_K(const struct skein_weights * weights, const struct skein_activations * activations,
                                   __m512 * sums, const char * ahead, struct skein_kept * kept) {
    __m512i steps[4];
    skein_interleave_few(weights, 192, steps);
    __m512 parts[SKEIN_TILE];
    for (int index = 0; index < activations->count; index++) {
        parts[index] = _mm512_setzero_ps();
    }
    for (int half = 0; half < 2; half++) {
        __m512i twos[8];
        skein_interleave(weights, 128 + 32 * half, twos);
        // A byte has a value's four bits and those of the value 64 further on.
        for (int pair = 0; pair < 2; pair++) {
            __m512i both[8];
            skein_interleave(weights, 64 * half + 32 * pair, both);
            for (int high = 0; high < 2; high++) {
                const int         quarter = pair + 2 * high, place = 4 * half + quarter;
                struct skein_part part;
                for (int group = 0; group < 8; group++) {
                    part.values[group] = _mm512_or_si512(skein_bits(both[group], 4 * high, 0x0F),
                                                         skein_bits(twos[group], 2 * quarter - 4, 0x30));
                }
                skein_fetch_part(SKEIN_TYPE_Q6_K, ahead, place);
                part.factors[0] = skein_byte(steps[place / 2], 2 * (place % 2), true);
                part.factors[1] = skein_byte(steps[place / 2], 2 * (place % 2) + 1, true);
                if (kept) {
                    memcpy(&kept->parts[place], &part, sizeof(part));
                } else {
                    skein_part_q6_K(&part, place, activations, parts);
                }
            }
        }
    }
    const __m512 factor = skein_read_halves(weights, 208);
    if (kept) {
        kept->factor = factor;
    } else {
        skein_end_q6_K(factor, activations, parts, sums);
    }
}

SKEIN_INLINE void skein_block(int type, const struct skein_weights * weights,
                              const struct skein_activations * activations, __m512 * sums, const char * ahead,
                              struct skein_kept * kept) {
    switch (type) {
        case SKEIN_TYPE_Q8_0: skein_block_q8_0(weights, activations, sums, ahead, kept); break;
        case SKEIN_TYPE_Q6_K: skein_block_q6_K(weights, activations, sums, ahead, kept); break;
        default: skein_block_q4_K(type, weights, activations, sums, ahead, kept); break;
    }
}

// What `skein_block` does with weights that were kept. Parts come in the order they were put there.
SKEIN_INLINE void skein_block_kept(int type, const struct skein_kept * kept,
                                   const struct skein_activations * activations, __m512 * sums) {
    if (type == SKEIN_TYPE_Q8_0) {
        skein_part_q8_0(&kept->parts[0], activations, sums);
        return;
    }
    __m512 parts[SKEIN_TILE];
    for (int index = 0; index < activations->count; index++) {
        parts[index] = _mm512_setzero_ps();
    }
    for (int step = 0; step < 8; step++) {
        if (type == SKEIN_TYPE_Q6_K) {
            // 0 2 1 3, 4 6 5 7.
            const int place = step / 4 * 4 + step % 4 / 2 + 2 * (step % 2);
            skein_part_q6_K(&kept->parts[place], place, activations, parts);
        } else {
            skein_part_q4_K(&kept->parts[step], step, activations, parts);
        }
    }
    if (type == SKEIN_TYPE_Q6_K) {
        skein_end_q6_K(kept->factor, activations, parts, sums);
    } else {
        skein_end_q4_K(kept->floors, kept->factor, activations, parts, sums);
    }
}

// What was summed up of a row before, of those of a strip's rows that are `written`.
SKEIN_INLINE __m512 skein_sum_before(const struct skein_product * in, int64_t row, int64_t first, __mmask16 written) {
    return in->start == 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(written, in->outs[row] + first);
}

SKEIN_INLINE struct skein_weights skein_strip_at(int type, const struct skein_product * in, int64_t first) {
    return skein_weights_at(in->weights + first * in->weight_stride + in->start * skein_block_bytes(type),
                            in->weight_stride);
}

// A strip's weights, from row `first` on, times `count` rows of activations. Of a strip that begins before the last
// one ends, only the rows in `written` are new. `ahead` is what is fetched meanwhile, or NULL.
SKEIN_INLINE void skein_tile(int type, const struct skein_product * in, int64_t first, __mmask16 written, int64_t row,
                             int count, const char * ahead) {
    const int64_t            bytes       = skein_block_bytes(type);
    struct skein_weights     weights     = skein_strip_at(type, in, first);
    struct skein_activations activations = { in->prepared + row * in->block_count * skein_prepared_bytes(type), count };
    __m512                   sums[SKEIN_TILE];
    for (int index = 0; index < count; index++) {
        sums[index] = skein_sum_before(in, row + index, first, written);
    }
#pragma clang loop unroll(disable)
    for (int64_t b = 0; b < in->block_count; b++) {
        skein_block(type, &weights, &activations, sums, ahead ? ahead + b * SKEIN_STRIP * bytes : NULL, NULL);
        skein_step(&weights, bytes);
        activations.block += count * skein_prepared_bytes(type);
    }
    for (int index = 0; index < count; index++) {
        _mm512_mask_storeu_ps(in->outs[row + index] + first, written, sums[index]);
    }
}

// The same of SKEIN_TILE rows and weights that were kept.
SKEIN_INLINE void skein_tile_kept(int type, const struct skein_product * in, const char * kept, int64_t first,
                                  __mmask16 written, int64_t row) {
    struct skein_activations activations = { in->prepared + row * in->block_count * skein_prepared_bytes(type),
                                             SKEIN_TILE };
    __m512                   sums[SKEIN_TILE];
    for (int index = 0; index < SKEIN_TILE; index++) {
        sums[index] = skein_sum_before(in, row + index, first, written);
    }
#pragma clang loop unroll(disable)
    for (int64_t b = 0; b < in->block_count; b++) {
        skein_block_kept(type, (const struct skein_kept *) (kept + b * skein_kept_bytes(type)), &activations, sums);
        activations.block += SKEIN_TILE * skein_prepared_bytes(type);
    }
    for (int index = 0; index < SKEIN_TILE; index++) {
        _mm512_mask_storeu_ps(in->outs[row + index] + first, written, sums[index]);
    }
}

// Whole tiles of many rows: answers how many rows those are.
SKEIN_INLINE int64_t skein_strip_of_many(int type, const struct skein_product * in, int64_t first, __mmask16 written,
                                         int64_t rows, const char * ahead) {
    _Alignas(64) char              kept[SKEIN_KEPT];
    const int64_t                  bytes   = skein_block_bytes(type);
    const struct skein_activations none    = { NULL, 0 };
    struct skein_weights           weights = skein_strip_at(type, in, first);
#pragma clang loop unroll(disable)
    for (int64_t b = 0; b < in->block_count; b++) {
        skein_block(type, &weights, &none, NULL, ahead ? ahead + b * SKEIN_STRIP * bytes : NULL,
                    (struct skein_kept *) (kept + b * skein_kept_bytes(type)));
        skein_step(&weights, bytes);
    }
    int64_t row = 0;
    for (; row + SKEIN_TILE <= rows; row += SKEIN_TILE) {
        skein_tile_kept(type, in, kept, first, written, row);
    }
    return row;
}

// A strip times any number of rows, as many at a time as there are registers for.
SKEIN_INLINE void skein_strip(int type, const struct skein_product * in, int64_t first, __mmask16 written,
                              int64_t count, const char * ahead) {
    int64_t row = count < skein_many(type) ? 0 : skein_strip_of_many(type, in, first, written, count, ahead);
    for (; row < count; row += SKEIN_TILE) {
        const char * fetched = row == 0 ? ahead : NULL;
        switch (count - row < SKEIN_TILE ? (int) (count - row) : SKEIN_TILE) {
#define SKEIN_CASE(n) \
    case n: skein_tile(type, in, first, written, row, n, fetched); break;
            SKEIN_CASE(1) SKEIN_CASE(2) SKEIN_CASE(3) SKEIN_CASE(4) SKEIN_CASE(5) SKEIN_CASE(6) SKEIN_CASE(7)
            SKEIN_CASE(8) SKEIN_CASE(9) SKEIN_CASE(10) SKEIN_CASE(11) SKEIN_CASE(12) SKEIN_CASE(13) SKEIN_CASE(14)
            SKEIN_CASE(15) SKEIN_CASE(16)
#undef SKEIN_CASE
        }
    }
}

// A product of `m` rows of weights, `weight_stride` bytes apart, and `n` of activations, of `k` blocks each.
struct skein_shape {
    int64_t m;
    int64_t n;
    int64_t k;
    int64_t weight_stride;
};

// Who computes what: jobs of several strips side by side, as threads are not equally quick.
struct skein_share {
    int64_t                   first;   // Of this thread.
    int64_t                   stride;  // To its next one, where nothing hands them out.
    struct ggml_threadpool *  pool;    // Whose counter hands out all but the first ones, or NULL.
};

SKEIN_INLINE int64_t skein_next(const struct skein_share * share, int64_t job) {
    return share->pool ? ggml_threadpool_chunk_add(share->pool, 1) : job + share->stride;
}

// Prepares the blocks of `count` rows that are multiplied next, from the `first` on.
SKEIN_INLINE void skein_prepare_rows(int type, const struct skein_product * in, char * prepared,
                                     const struct skein_places * places, int64_t first, int64_t count) {
    for (int64_t row = 0; row < count; row += SKEIN_TILE) {
        const int part = count - row < SKEIN_TILE ? (int) (count - row) : SKEIN_TILE;
        skein_prepare(type, prepared + row * in->block_count * skein_prepared_bytes(type), places, first + row, part,
                      in->start, in->block_count);
        for (int index = 0; index < part; index++) {
            in->outs[row + index] = skein_out_of(places, first + row + index);
        }
    }
}

// A thread's part of it. There is room for SKEIN_PREPARED bytes and SKEIN_MOST addresses.
SKEIN_INLINE void skein_multiply_type(int type, const struct skein_shape * shape, const char * matrix,
                                      const struct skein_places * places, const struct skein_share * share,
                                      char * prepared, float ** outs) {
    const int64_t strips = (shape->m + SKEIN_STRIP - 1) / SKEIN_STRIP;
    const int64_t size   = strips / (4 * share->stride) > 0 ? strips / (4 * share->stride) : 1;  // Of a job.
    const int64_t jobs   = (strips + size - 1) / size;
    // Of few rows all blocks at a time; of many as many as are kept, and so many rows that they find room.
    const int64_t kept    = SKEIN_KEPT / skein_kept_bytes(type);
    const int64_t blocks  = shape->n < skein_many(type) || shape->k < kept ? shape->k : kept;
    const int64_t fitting = SKEIN_PREPARED / (blocks * skein_prepared_bytes(type));
    const int64_t most    = fitting < SKEIN_TILE ? fitting
                            : fitting < SKEIN_MOST ? fitting / SKEIN_TILE * SKEIN_TILE
                                                   : SKEIN_MOST;

    struct skein_product in = { matrix, shape->weight_stride, 0, blocks, prepared, outs };
    for (int64_t job = share->first, next; job < jobs; job = next) {
        next              = skein_next(share, job);
        const int64_t end = (job + 1) * size < strips ? (job + 1) * size : strips;
        for (int64_t group = 0; group < shape->n; group += most) {
            const int64_t count = shape->n - group < most ? shape->n - group : most;
            for (in.start = 0; in.start < shape->k; in.start += blocks) {
                in.block_count = shape->k - in.start < blocks ? shape->k - in.start : blocks;
                // What was prepared for one job serves the next one.
                if (job == share->first || count < shape->n || blocks < shape->k) {
                    skein_prepare_rows(type, &in, prepared, places, group, count);
                }
                for (int64_t strip = job * size; strip < end; strip++) {
                    // Behind a job comes the next one of this thread.
                    const int64_t beyond = strip + SKEIN_AHEAD - end;
                    const int64_t later  = beyond < 0 ? strip + SKEIN_AHEAD
                                                      : next * size + (beyond < size ? beyond : size - 1);
                    const char *  ahead  = later < strips ? matrix + later * SKEIN_STRIP * shape->weight_stride : NULL;
                    // The last strip ends with the matrix, and begins with rows of the one before.
                    const int64_t   start   = strip * SKEIN_STRIP;
                    const int64_t   first   = start + SKEIN_STRIP > shape->m ? shape->m - SKEIN_STRIP : start;
                    const __mmask16 written = (__mmask16) (0xFFFF << (start - first));
                    skein_strip(type, &in, first, written, count, ahead);
                }
            }
        }
    }
}

// The same of weights of any type that is multiplied here. All threads call it. Takes a third of a megabyte of the
// thread's stack, once.
static __attribute__((noinline)) void skein_multiply(int type, const struct skein_shape * shape, const void * matrix,
                                                     const struct skein_places * places,
                                                     const struct skein_share *  share) {
    _Alignas(64) char prepared[SKEIN_PREPARED];
    float *           outs[SKEIN_MOST];
    switch (type) {
#define SKEIN_CASE(t) \
    case t: skein_multiply_type(t, shape, (const char *) matrix, places, share, prepared, outs); break;
        SKEIN_CASE(SKEIN_TYPE_Q8_0) SKEIN_CASE(SKEIN_TYPE_Q4_K) SKEIN_CASE(SKEIN_TYPE_Q5_K) SKEIN_CASE(SKEIN_TYPE_Q6_K)
#undef SKEIN_CASE
    }
}
