// Products of matrices by strips: sixteen rows of weights at a time, one in each lane of the processor's vectors. Their
// values are put side by side while they come from memory, once for up to sixteen rows of activations, so a step of a
// few rows takes as long as reading the weights does. What is computed for a row of activations depends on that row
// alone, not on how many there are, on the threads or on the height of the matrix.
// docs/decisions/0030-products-by-strips.md has the figures.
//
// Activations come as the library rounds them for its dot products (block_q8_0, block_q8_K). All sums within a block
// are of whole numbers, and exact.
#pragma once
#include "strip_blocks.h"

enum {
    SKEIN_MOST     = 512,         // Rows of activations that are prepared at a time, at most.
    SKEIN_PREPARED = 320 * 1024,  // Bytes of activations that a thread prepares at a time, on its stack.
    SKEIN_AHEAD    = 2,           // Strips that weights are fetched ahead.
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

// Weights, activations that are prepared, and where each row's products go. The stride in bytes.
struct skein_product {
    const char * weights;
    int64_t      weight_stride;
    int64_t      start;        // Of a row's blocks the first one, …
    int64_t      block_count;  // … and how many are multiplied now. Sums go on where those before ended.
    const char * prepared;
    float **     outs;
};

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

// --- strips -------------------------------------------------------------------------------------------------------

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
