// Forced into llama.cpp's C files (Scripts/llama.sh), so into ggml-cpu.c, which offers every product of matrices to the
// blocked kernels (llamafile_sgemm) before it takes dot products. On x86 those kernels spend most of their time on the
// weights' scales, once per column tile: with eight-bit activations, fewer than eight rows come sooner by dot products,
// and then a row's bits do not depend on the rows beside it. Measured in
// docs/decisions/0021-few-rows-by-dot-products.md.
#pragma once
#if defined(__x86_64__) && defined(__AVX2__)
#include <stdbool.h>
#include <stdint.h>

struct ggml_compute_params;

bool llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * A,
                     int64_t lda, const void * B, int64_t ldb, void * C, int64_t ldc, int Atype, int Btype, int Ctype);

enum {
    SKEIN_LEAST_BLOCKED_ROWS = 8,
    SKEIN_TYPE_Q8_0          = 8,  // ggml_type of activations beside weights in blocks of 32
};

static inline bool skein_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k,
                               const void * A, int64_t lda, const void * B, int64_t ldb, void * C, int64_t ldc,
                               int Atype, int Btype, int Ctype) {
    if (Btype == SKEIN_TYPE_Q8_0 && n < SKEIN_LEAST_BLOCKED_ROWS) {
        return false;
    }
    return llamafile_sgemm(params, m, n, k, A, lda, B, ldb, C, ldc, Atype, Btype, Ctype);
}

#define llamafile_sgemm skein_sgemm
#endif
