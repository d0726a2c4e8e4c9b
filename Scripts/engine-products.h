// Forced into llama.cpp's C files (Scripts/llama.sh), so into ggml-cpu.c, which offers every product of matrices to the
// blocked kernels (llamafile_sgemm) before it takes dot products. Two things are done otherwise on x86:
//
// - Weights in q8_0 are multiplied here, where the processor has AVX-512 with VNNI: by strips of sixteen of their rows,
//   whose values are put side by side in registers while they come from memory, once for up to sixteen rows of
//   activations. What is computed for a row depends on that row alone
//   (docs/decisions/0030-products-by-strips.md).
// - Other weights beside eight-bit activations go by dot products below eight rows: the blocked kernels spend most of
//   their time on the weights' scales there (docs/decisions/0021-few-rows-by-dot-products.md).
#pragma once
#if defined(__x86_64__) && defined(__AVX2__)
#include <stdbool.h>
#include <stdint.h>

struct ggml_compute_params;

bool llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * A,
                     int64_t lda, const void * B, int64_t ldb, void * C, int64_t ldc, int Atype, int Btype, int Ctype);

enum {
    SKEIN_LEAST_BLOCKED_ROWS = 8,
    SKEIN_TYPE_F32           = 0,  // Source: ggml_type.
    SKEIN_TYPE_Q8_0          = 8,
};

// Only the files of the processor's backend find this header.
#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && __has_include("ggml-cpu-impl.h")
#define SKEIN_MULTIPLIES_BY_STRIPS 1
#include "ggml-cpu-impl.h"

#include <immintrin.h>
#include <string.h>

enum {
    SKEIN_STRIP       = 16,     // Rows of weights that are multiplied at a time: one in each lane.
    SKEIN_TILE        = 16,     // Rows of activations, at most.
    SKEIN_BLOCK       = 32,     // Values that share a factor.
    SKEIN_BLOCK_BYTES = 34,     // Source: block_q8_0: a factor in f16 and the values.
    SKEIN_MOST_BLOCKS = 16384,  // Of activations, that are prepared at a time.
    SKEIN_AHEAD       = 2,      // Strips that weights are fetched ahead.
};

// What a block of activations needs beside its values. Weights are offset by 128, as the processor wants one factor
// unsigned; `low` takes away what that adds.
struct skein_block {
    float   factor;
    int32_t low;
};

// One product of matrices. Strides in bytes; `ldc` in floats.
struct skein_product {
    const char *               weights;
    int64_t                    weight_stride;
    const char *               rows;
    int64_t                    row_stride;
    const struct skein_block * blocks;  // Of the rows, `block_count` each.
    int64_t                    block_count;
    float *                    out;
    int64_t                    ldc;
};

#define SKEIN_INLINE static inline __attribute__((always_inline))

static void skein_prepare(struct skein_block * out, const char * rows, int64_t stride, int64_t count, int64_t blocks) {
    for (int64_t row = 0; row < count; row++) {
        for (int64_t b = 0; b < blocks; b++) {
            const char * block = rows + row * stride + b * SKEIN_BLOCK_BYTES;
            uint16_t     factor;
            memcpy(&factor, block, sizeof(factor));
            const __m256i values = _mm256_loadu_si256((const __m256i *) (block + sizeof(factor)));
            const __m256i sums   = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), values);
            __m128i       sum    = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
            sum                  = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
            sum                  = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
            *out++               = (struct skein_block){ _cvtsh_ss(factor), -128 * _mm_cvtsi128_si32(sum) };
        }
    }
}

// Row `index` of a strip's `count`; the last one stands for those that are not there.
SKEIN_INLINE int64_t skein_row(int index, int count, int64_t stride) {
    return (index < count ? index : count - 1) * stride;
}

// A block of each of a strip's rows: out[g] has the values 4g to 4g + 3 of all of them, offset by 128.
SKEIN_INLINE void skein_interleave(const char * block, int count, int64_t stride, __m512i * out) {
    __m512i parts[2][4];
    for (int half = 0; half < 2; half++) {
        __m512i rows[4];
        for (int index = 0; index < 4; index++) {
            const char *  values = block + sizeof(uint16_t);
            const __m256i first  = _mm256_loadu_si256(
                (const __m256i *) (values + skein_row(8 * half + index, count, stride)));
            const __m256i second = _mm256_loadu_si256(
                (const __m256i *) (values + skein_row(8 * half + 4 + index, count, stride)));
            rows[index] = _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1),
                                           _mm512_set1_epi8((char) 0x80));
        }
        const __m512i a = _mm512_unpacklo_epi32(rows[0], rows[1]), b = _mm512_unpackhi_epi32(rows[0], rows[1]);
        const __m512i c = _mm512_unpacklo_epi32(rows[2], rows[3]), d = _mm512_unpackhi_epi32(rows[2], rows[3]);
        parts[half][0]  = _mm512_unpacklo_epi64(a, c);
        parts[half][1]  = _mm512_unpackhi_epi64(a, c);
        parts[half][2]  = _mm512_unpacklo_epi64(b, d);
        parts[half][3]  = _mm512_unpackhi_epi64(b, d);
    }
    for (int group = 0; group < 4; group++) {
        out[group]     = _mm512_shuffle_i64x2(parts[0][group], parts[1][group], 0x88);
        out[group + 4] = _mm512_shuffle_i64x2(parts[0][group], parts[1][group], 0xDD);
    }
}

SKEIN_INLINE void skein_factors(uint16_t * out, const char * block, int count, int64_t stride) {
    for (int index = 0; index < SKEIN_STRIP; index++) {
        memcpy(out + index, block + skein_row(index, count, stride), sizeof(*out));
    }
}

// `count` rows of a strip's weights times `rows` rows of activations. `ahead` is what is fetched meanwhile, or NULL.
SKEIN_INLINE void skein_tile(const struct skein_product * in, int64_t first, int count, int64_t row, int rows,
                             const char * ahead) {
    const char *  weights = in->weights + first * in->weight_stride;
    const int64_t stride  = in->weight_stride;
    const int64_t blocks  = in->block_count;
    __m512        sums[SKEIN_TILE];
    for (int index = 0; index < rows; index++) {
        sums[index] = _mm512_setzero_ps();
    }
    // Written one block before they are read, as what is read at once must have been written at once or long ago.
    _Alignas(32) uint16_t factors[2][SKEIN_STRIP];
    skein_factors(factors[0], weights, count, stride);
#pragma clang loop unroll(disable)
    for (int64_t b = 0; b < blocks; b++) {
        const char * block = weights + b * SKEIN_BLOCK_BYTES;
        if (b + 1 < blocks) {
            skein_factors(factors[(b + 1) % 2], block + SKEIN_BLOCK_BYTES, count, stride);
        }
        // The strip's rows are one piece of memory, so it is fetched in its own order.
        if (ahead) {
            for (int line = 0; line * 64 < SKEIN_STRIP * SKEIN_BLOCK_BYTES; line++) {
                __builtin_prefetch(ahead + b * SKEIN_STRIP * SKEIN_BLOCK_BYTES + line * 64, 0, 2);
            }
        }
        __m512i values[8];
        skein_interleave(block, count, stride, values);
        const __m512 own = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *) factors[b % 2]));
        for (int index = 0; index < rows; index++) {
            const struct skein_block * other = in->blocks + (row + index) * blocks + b;
            const char * theirs = in->rows + (row + index) * in->row_stride + b * SKEIN_BLOCK_BYTES + sizeof(uint16_t);
            __m512i      sum    = _mm512_set1_epi32(other->low);
            for (int group = 0; group < 8; group++) {
                int32_t four;
                memcpy(&four, theirs + 4 * group, sizeof(four));
                sum = _mm512_dpbusd_epi32(sum, values[group], _mm512_set1_epi32(four));
            }
            const __m512 factor = _mm512_mul_ps(own, _mm512_set1_ps(other->factor));
            sums[index]         = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(sum), sums[index]);
        }
    }
    const __mmask16 written = (__mmask16) ((1u << count) - 1);
    for (int index = 0; index < rows; index++) {
        _mm512_mask_storeu_ps(in->out + (row + index) * in->ldc + first, written, sums[index]);
    }
}

static void skein_strip(const struct skein_product * in, int64_t first, int64_t row, int rows, const char * ahead) {
    switch (rows) {
#define SKEIN_CASE(n) \
    case n: skein_tile(in, first, SKEIN_STRIP, row, n, ahead); break;
        SKEIN_CASE(1) SKEIN_CASE(2) SKEIN_CASE(3) SKEIN_CASE(4) SKEIN_CASE(5) SKEIN_CASE(6) SKEIN_CASE(7)
        SKEIN_CASE(8) SKEIN_CASE(9) SKEIN_CASE(10) SKEIN_CASE(11) SKEIN_CASE(12) SKEIN_CASE(13) SKEIN_CASE(14)
        SKEIN_CASE(15) SKEIN_CASE(16)
#undef SKEIN_CASE
    }
}

// A thread's part of the product of `m` rows of weights with `n` rows of activations, `k` blocks each.
static void skein_multiply(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const char * A,
                           int64_t lda, const char * B, int64_t ldb, float * C, int64_t ldc) {
    // Jobs of strips side by side, several for each thread, as threads are not equally quick.
    const int64_t strips = (m + SKEIN_STRIP - 1) / SKEIN_STRIP;
    const int64_t share  = strips / (4 * params->nth);
    const int64_t size   = share > 0 ? share : 1;
    const int64_t jobs   = (strips + size - 1) / size;
    // The counter that hands them out was set for the first product of a node, whose rows are the first in the work
    // buffer. Of further ones each thread has its share.
    const bool    shares     = B != params->wdata;
    const int64_t group_rows = SKEIN_MOST_BLOCKS / k / SKEIN_TILE * SKEIN_TILE;

    struct skein_block   blocks[SKEIN_MOST_BLOCKS];
    struct skein_product in = { A, lda * SKEIN_BLOCK_BYTES, NULL, ldb * SKEIN_BLOCK_BYTES, blocks, k, NULL, ldc };
    const int64_t        strip_bytes = SKEIN_STRIP * in.weight_stride;
    for (int64_t job = params->ith, next; job < jobs; job = next) {
        next = shares ? job + params->nth : ggml_threadpool_chunk_add(params->threadpool, 1);
        const int64_t end = (job + 1) * size < strips ? (job + 1) * size : strips;
        for (int64_t group = 0; group < n; group += group_rows) {
            const int64_t rows = n - group < group_rows ? n - group : group_rows;
            in.rows            = B + group * in.row_stride;
            in.out             = C + group * ldc;
            // What one job prepared serves the next one.
            if (job == params->ith || rows < n) {
                skein_prepare(blocks, in.rows, in.row_stride, rows, k);
            }
            for (int64_t strip = job * size; strip < end; strip++) {
                const int64_t first = strip * SKEIN_STRIP;
                // Behind a job comes the next one of this thread.
                int64_t later = strip + SKEIN_AHEAD;
                later         = later < end ? later : next * size + later - end;
                const char * ahead = A + later * strip_bytes;
                for (int64_t row = 0; row < rows; row += SKEIN_TILE) {
                    const int count = rows - row < SKEIN_TILE ? (int) (rows - row) : SKEIN_TILE;
                    if (m - first >= SKEIN_STRIP) {
                        skein_strip(&in, first, row, count, row == 0 ? ahead : NULL);
                        continue;
                    }
                    for (int index = 0; index < count; index++) {
                        skein_tile(&in, first, (int) (m - first), row + index, 1, NULL);
                    }
                }
            }
        }
    }
}
#endif

static inline bool skein_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k,
                               const void * A, int64_t lda, const void * B, int64_t ldb, void * C, int64_t ldc,
                               int Atype, int Btype, int Ctype) {
#if defined(SKEIN_MULTIPLIES_BY_STRIPS)
    if (Atype == SKEIN_TYPE_Q8_0 && Btype == SKEIN_TYPE_Q8_0 && Ctype == SKEIN_TYPE_F32 &&
        k <= SKEIN_MOST_BLOCKS / SKEIN_TILE) {
        skein_multiply(params, m, n, k, (const char *) A, lda, (const char *) B, ldb, (float *) C, ldc);
        return true;
    }
#endif
    if (Btype == SKEIN_TYPE_Q8_0 && n < SKEIN_LEAST_BLOCKED_ROWS) {
        return false;
    }
    return llamafile_sgemm(params, m, n, k, A, lda, B, ldb, C, ldc, Atype, Btype, Ctype);
}

#define llamafile_sgemm skein_sgemm
#endif
