// Forced into llama.cpp's C files (Scripts/llama.sh), so into ggml-cpu.c, which offers every product of matrices to the
// kernels for eight rows and more (ggml_compute_forward_mul_mat_tiled) and to the blocked ones (llamafile_sgemm) before
// it takes dot products. On x86 two things are done otherwise:
//
// - Weights in q8_0, q4_K, q5_K and q6_K are multiplied by strips of sixteen rows (strips.h), where the processor has
//   AVX-512 with VNNI and the weights are as the file has them (docs/decisions/0030-products-by-strips.md).
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
    SKEIN_TYPE_Q4_K          = 12,
    SKEIN_TYPE_Q5_K          = 13,
    SKEIN_TYPE_Q6_K          = 14,
    SKEIN_TYPE_Q8_K          = 15,
};

// Only the files of the processor's backend find ggml-cpu-impl.h.
#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && __has_include("ggml-cpu-impl.h")
#include "strips.h"
#endif

// A product of `m` rows of weights and `n` rows of activations of `k` blocks each, as llamafile_sgemm computes it: all
// threads call it, each does its part. False when it was not computed.
static inline bool skein_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k,
                               const void * A, int64_t lda, const void * B, int64_t ldb, void * C, int64_t ldc,
                               int Atype, int Btype, int Ctype) {
#if defined(SKEIN_STRIP)
    if (skein_multiplies(Atype, Btype, m, k) && Ctype == SKEIN_TYPE_F32) {
        const struct skein_shape  shape  = { m, n, k, lda * skein_block_bytes(Atype) };
        const struct skein_places places = { (const char *) B, ldb * skein_block_bytes(Btype), (char *) C,
                                             ldc * (int64_t) sizeof(float), NULL, 0, 0 };
        // The counter was set for the first product of a node, whose activations are the first in the work buffer.
        const struct skein_share share = { params->ith, params->nth,
                                           B == params->wdata ? params->threadpool : NULL };
        skein_multiply(Atype, &shape, A, &places, &share);
        return true;
    }
#endif
    if (Btype == SKEIN_TYPE_Q8_0 && n < SKEIN_LEAST_BLOCKED_ROWS) {
        return false;
    }
    return llamafile_sgemm(params, m, n, k, A, lda, B, ldb, C, ldc, Atype, Btype, Ctype);
}

#define llamafile_sgemm skein_sgemm

#if defined(SKEIN_STRIP)
bool ggml_compute_forward_mul_mat_tiled(const struct ggml_compute_params * params, struct ggml_tensor * dst);

// Blocks of a row of weights that go by strips, beside rows as the library rounds them; 0 of others.
static inline int64_t skein_blocks_by_strips(const struct ggml_tensor * weights) {
    const int64_t k = weights->ne[0] / ggml_blck_size(weights->type);
    return skein_multiplies(weights->type, skein_activation_type(weights->type), weights->ne[1], k) ? k : 0;
}

// The same of a whole node. What goes by strips is left to them.
static inline bool skein_mul_mat_tiled(const struct ggml_compute_params * params, struct ggml_tensor * dst) {
    return skein_blocks_by_strips(dst->src[0]) == 0 && ggml_compute_forward_mul_mat_tiled(params, dst);
}

#define ggml_compute_forward_mul_mat_tiled skein_mul_mat_tiled

bool ggml_compute_forward_mul_mat_id_tiled(const struct ggml_compute_params * params, struct ggml_tensor * dst,
                                           int64_t cur_a, int64_t cne1, const int32_t * expert_rows, char * scratch);

// The same of one expert of a node: the library has rounded the node's rows, and says which of them are the expert's.
static inline bool skein_mul_mat_id_tiled(const struct ggml_compute_params * params, struct ggml_tensor * dst,
                                          int64_t cur_a, int64_t cne1, const int32_t * expert_rows, char * scratch) {
    const struct ggml_tensor * weights = dst->src[0];
    const struct ggml_tensor * rows    = dst->src[1];
    const int64_t              k       = skein_blocks_by_strips(weights);
    if (k == 0 || rows->type != GGML_TYPE_F32) {
        return ggml_compute_forward_mul_mat_id_tiled(params, dst, cur_a, cne1, expert_rows, scratch);
    }
    const struct skein_shape  shape  = { weights->ne[1], cne1, k, (int64_t) weights->nb[1] };
    const int64_t             stride = k * skein_block_bytes(skein_activation_type(weights->type));
    const struct skein_places places = { (const char *) params->wdata, stride, (char *) dst->data,
                                         (int64_t) dst->nb[1], expert_rows, rows->ne[1], (int64_t) dst->nb[2] };
    // Nothing hands these out. Each expert begins with another thread, so that what is left over goes round.
    const struct skein_share share = { (params->ith + cur_a) % params->nth, params->nth, NULL };
    skein_multiply(weights->type, &shape, (const char *) weights->data + cur_a * (int64_t) weights->nb[2], &places,
                   &share);
    return true;
}

#define ggml_compute_forward_mul_mat_id_tiled skein_mul_mat_id_tiled
#endif
#endif
