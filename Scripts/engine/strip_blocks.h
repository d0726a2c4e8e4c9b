// A block of sixteen rows of weights, a strip's, times a block of up to sixteen rows of activations: how the weights of
// each type are put side by side, one row in each lane of the processor's vectors, and multiplied. Part of strips.h.
#pragma once
#include "ggml-cpu-impl.h"

#include <immintrin.h>
#include <string.h>

#define SKEIN_STRIP 16  // Rows of weights that are multiplied at a time.
#define SKEIN_INLINE static inline __attribute__((always_inline))

enum {
    SKEIN_TILE     = 16,  // Rows of activations that are multiplied at a time, at most.
    SKEIN_TOGETHER = 4,   // Rows whose sums do not wait for each other.
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
