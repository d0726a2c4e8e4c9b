#include "llama_extras.h"

#include "ggml/src/ggml-impl.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

constexpr int block_size  = 16;    // Cells that are weighed at a time.
constexpr int widest_head = 1024;  // Values of a head, at most.

// The rows of a batch, and what attention reads and writes. Strides in bytes.
struct attention_rows {
    const char * queries;
    const char * keys;
    const char * values;
    char *       out;
    size_t       query_stride, query_head_stride;
    size_t       key_stride, key_head_stride;
    size_t       value_stride, value_head_stride;
    size_t       out_stride, out_head_stride;
    ggml_type    key_type, value_type;
    int          key_width, value_width;
    int          key_bytes, value_bytes;
    int          sharing;  // Heads of queries for each of keys and values.
    float        scale;
    // The cells that each row sees, one row's behind the other's; row r has those from starts[r] to starts[r + 1].
    const int32_t * cells;
    const size_t *  starts;
};

#if defined(__x86_64__)
#pragma clang diagnostic ignored "-Wpsabi"  // No vector leaves this file.
namespace wide {
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
                             apply_to = function)
#include "attention_kernel.h"
#pragma clang attribute pop
}  // namespace wide
namespace narrow {
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "attention_kernel.h"
#pragma clang attribute pop
}  // namespace narrow
#endif

using attend_function = void (*)(const attention_rows &, int row, int first, int end);

// What this processor runs; NULL where the library's own attention is better.
attend_function kernel() {
#if defined(__x86_64__)
    static const attend_function chosen = [] {
        __builtin_cpu_init();
        const bool is_narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                               __builtin_cpu_supports("f16c");
        const bool is_wide = is_narrow && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
        return is_wide ? (attend_function) wide::attend : is_narrow ? (attend_function) narrow::attend : nullptr;
    }();
    return chosen;
#else
    return nullptr;
#endif
}

// Whether the library computes these rows in tiles, which is quicker than row by row.
// Source: ggml_compute_forward_flash_attn_ext_f16 and ggml_fa_tile_config of ggml.
bool has_tiles(const ggml_tensor * queries, const ggml_tensor * keys, const ggml_tensor * values) {
    constexpr int tile = 64;
    return queries->ne[1] >= tile && keys->type == values->type && keys->type != GGML_TYPE_Q8_0;
}

bool fits(const ggml_tensor * cache) {
    const bool is_known = cache->type == GGML_TYPE_F16 || cache->type == GGML_TYPE_Q8_0 || cache->type == GGML_TYPE_F32;
    return is_known && cache->ne[0] % 32 == 0 && cache->ne[0] <= widest_head && cache->ne[3] == 1 &&
           cache->nb[0] == ggml_type_size(cache->type);
}

}  // namespace

struct extras_attention {
    std::vector<int32_t> cells;
    std::vector<size_t>  starts;
};

extras_attention * extras_attention_new(void) { return new extras_attention; }

void extras_attention_free(extras_attention * attention) { delete attention; }

bool extras_attention_see(extras_attention * attention, const struct ggml_tensor * mask) {
    constexpr uint64_t hidden = 0xFC00FC00FC00FC00;  // Four cells that are not seen: negative infinity in f16.
    attention->cells.clear();
    attention->starts.assign(1, 0);
    const auto words = mask->ne[0] / 4;
    for (int64_t row = 0; row < mask->ne[1]; row++) {
        const auto * word = (const uint64_t *) ((const char *) mask->data + row * mask->nb[1]);
        for (int64_t index = 0; index < words; index++) {
            if (word[index] == hidden) {
                continue;
            }
            for (int part = 0; part < 4; part++) {
                const auto value = (uint16_t) (word[index] >> (16 * part));
                if (value == (uint16_t) hidden) {
                    continue;
                }
                if (value != 0) {
                    return false;
                }
                attention->cells.push_back((int32_t) (4 * index + part));
            }
        }
        attention->starts.push_back(attention->cells.size());
    }
    return true;
}

bool extras_attention_fits(const struct ggml_tensor * node) {
    const ggml_tensor *queries = node->src[0], *keys = node->src[1], *values = node->src[2], *mask = node->src[3];
    float              bias, softcap;
    memcpy(&bias, (const float *) node->op_params + 1, sizeof(bias));
    memcpy(&softcap, (const float *) node->op_params + 2, sizeof(softcap));
    return kernel() != nullptr && !has_tiles(queries, keys, values) && bias == 0 && softcap == 0 && node->src[4] == nullptr && fits(keys) && fits(values) &&
           queries->type == GGML_TYPE_F32 && queries->nb[0] == sizeof(float) && queries->ne[3] == 1 &&
           queries->ne[2] % keys->ne[2] == 0 && keys->ne[2] == values->ne[2] && queries->ne[0] == keys->ne[0] &&
           node->type == GGML_TYPE_F32 && node->nb[0] == sizeof(float) && node->ne[0] == values->ne[0] &&
           mask->ne[0] % 4 == 0 && mask->ne[0] == keys->ne[1] && mask->ne[1] == queries->ne[1];
}

// Source: ggml_custom_op_t. The node keeps the parameters of what it was behind those of what it is.
static void attend_rows(struct ggml_tensor * node, int thread, int thread_count, void * context) {
    const auto *        attention = (const extras_attention *) context;
    const ggml_tensor * queries   = node->src[0];
    const ggml_tensor * keys      = node->src[1];
    const ggml_tensor * values    = node->src[2];
    attention_rows      in;
    in.queries           = (const char *) queries->data;
    in.keys              = (const char *) keys->data;
    in.values            = (const char *) values->data;
    in.out               = (char *) node->data;
    in.query_stride      = queries->nb[1];
    in.query_head_stride = queries->nb[2];
    in.key_stride        = keys->nb[1];
    in.key_head_stride   = keys->nb[2];
    in.value_stride      = values->nb[1];
    in.value_head_stride = values->nb[2];
    in.out_stride        = node->nb[2];
    in.out_head_stride   = node->nb[1];
    in.key_type          = keys->type;
    in.value_type        = values->type;
    in.key_width         = (int) keys->ne[0];
    in.value_width       = (int) values->ne[0];
    in.key_bytes         = (int) ggml_row_size(keys->type, keys->ne[0]);
    in.value_bytes       = (int) ggml_row_size(values->type, values->ne[0]);
    in.sharing           = (int) (queries->ne[2] / keys->ne[2]);
    memcpy(&in.scale, (const char *) node->op_params + sizeof(ggml_custom_op_params), sizeof(in.scale));
    in.cells  = attention->cells.data();
    in.starts = attention->starts.data();

    // Whole rows where that makes the threads equally busy, because a cell's heads lie side by side; else each thread
    // has its heads of all rows.
    const int    rows  = (int) queries->ne[1];
    const int    heads = (int) queries->ne[2];
    const size_t cells = in.starts[rows];
    size_t       most  = 0;
    for (int other = 0; other < thread_count; other++) {
        size_t load = 0;
        for (int row = other; row < rows; row += thread_count) {
            load += in.starts[row + 1] - in.starts[row];
        }
        most = std::max(most, load);
    }
    const auto attend = kernel();
    if (most * thread_count <= cells + cells / 8) {
        for (int row = thread; row < rows; row += thread_count) {
            attend(in, row, 0, heads);
        }
        return;
    }
    const int parts = std::min(heads, thread_count);
    for (int turn = thread; turn < rows * parts; turn += thread_count) {
        const int part = turn % parts;
        attend(in, turn / parts, heads * part / parts, heads * (part + 1) / parts);
    }
}

void extras_attention_take(const extras_attention * attention, struct ggml_tensor * node) {
    const ggml_custom_op_params parameters = { attend_rows, GGML_N_TASKS_MAX, (void *) attention };
    char *                      own        = (char *) node->op_params;
    memmove(own + sizeof(parameters), own, GGML_MAX_OP_PARAMS - sizeof(parameters));
    memcpy(own, &parameters, sizeof(parameters));
    node->op = GGML_OP_CUSTOM;
}

void extras_attention_give_back(struct ggml_tensor * node) {
    char * own = (char *) node->op_params;
    memmove(own, own + sizeof(ggml_custom_op_params), GGML_MAX_OP_PARAMS - sizeof(ggml_custom_op_params));
    node->op = GGML_OP_FLASH_ATTN_EXT;
}
