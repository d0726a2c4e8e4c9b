#include "llama_extras.h"

#include "ggml/src/ggml-impl.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

constexpr int block_size  = 16;    // Cells that are weighed at a time.
constexpr int widest_head = 1024;  // Values of a head, at most.
constexpr int together    = 64;    // Heads of rows that are computed together, at most.
constexpr int few_heads   = 8;     // From so many on that share keys, cells are unpacked once for them.

// Cells that a row sees, in a list of them.
struct row_view {
    size_t start;
    int    length;
    bool   continues;  // It begins with those that the row before sees, in the same list.
};

// Rows that see the cells of one list, each as many as the one before or more.
struct row_range {
    int first, end;
};

// What has been summed up of a row's head.
struct head_state {
    float * query;
    float * sums;
    float   most, total;
    int     left;  // Cells it sees from the block's first one on.
};

// What a thread computes in. The floats of a block's keys and values begin at lines of the cache.
struct workspace {
    head_state * states;
    float *      keys;
    float *      values;
};

// The rows of a batch, and what attention reads and writes. Strides in bytes.
struct attention_rows {
    const char *     queries;
    const char *     keys;
    const char *     values;
    char *           out;
    size_t           query_stride, query_head_stride;
    size_t           key_stride, key_head_stride;
    size_t           value_stride, value_head_stride;
    size_t           out_stride, out_head_stride;
    ggml_type        key_type, value_type;
    int              key_width, value_width;
    int              key_bytes, value_bytes;
    int              sharing;  // Heads of queries for each of keys and values.
    float            scale;
    float            cap;    // That products are bounded by, smoothly; 0: none.
    const float *    sinks;  // A head's part of what its cells' weights are divided by; NULL: none.
    const int32_t *  cells;
    const row_view * rows;
};

#pragma clang diagnostic ignored "-Wpsabi"  // No vector leaves this file.
#if defined(__x86_64__)
namespace wide {
constexpr int register_count = 32;
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
                             apply_to = function)
#include "attention_kernel.h"
#pragma clang attribute pop
}  // namespace wide
namespace narrow {
constexpr int register_count = 8;  // Sixteen of half the size.
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "attention_kernel.h"
#pragma clang attribute pop
}  // namespace narrow
#elif defined(__aarch64__)
namespace narrow {
constexpr int register_count = 8;  // 32 of a quarter of the size.
#include "attention_kernel.h"
}  // namespace narrow
#endif

using attend_function = void (*)(const attention_rows &, row_range, int first, int end, const workspace &);

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
#elif defined(__aarch64__)
    return narrow::attend;
#else
    return nullptr;
#endif
}

bool fits(const ggml_tensor * cache) {
    const bool is_known = cache->type == GGML_TYPE_F16 || cache->type == GGML_TYPE_Q8_0 || cache->type == GGML_TYPE_F32;
    return is_known && cache->ne[0] % 32 == 0 && cache->ne[0] <= widest_head && cache->ne[3] == 1 &&
           cache->nb[0] == ggml_type_size(cache->type);
}

}  // namespace

struct extras_attention {
    std::vector<int32_t>  cells;
    std::vector<row_view> rows;
};

extras_attention * extras_attention_new(void) { return new extras_attention; }

void extras_attention_free(extras_attention * attention) { delete attention; }

bool extras_attention_see(extras_attention * attention, const struct ggml_tensor * mask) {
    constexpr uint64_t hidden = 0xFC00FC00FC00FC00;  // Four cells that are not seen: negative infinity in f16.
    auto &             cells  = attention->cells;
    cells.clear();
    attention->rows.clear();
    int in_list = 0;  // Rows of the last list.
    for (int64_t row = 0; row < mask->ne[1]; row++) {
        const auto * words = (const uint64_t *) ((const char *) mask->data + row * mask->nb[1]);
        row_view     view  = { cells.size(), 0, false };
        for (int64_t index = 0; index < mask->ne[0] / 4; index++) {
            if (words[index] == hidden) {
                continue;
            }
            for (int part = 0; part < 4; part++) {
                const auto value = (uint16_t) (words[index] >> (16 * part));
                if (value == (uint16_t) hidden) {
                    continue;
                }
                if (value != 0) {
                    return false;
                }
                cells.push_back((int32_t) (4 * index + part));
            }
        }
        view.length = (int) (cells.size() - view.start);
        // Rows of a prompt see what the row before sees, and themselves. One that sees nothing is alone: it has no
        // largest product.
        const row_view before = row > 0 ? attention->rows.back() : row_view{ 0, 0, false };
        view.continues =
            in_list < together && before.length > 0 && view.length >= before.length &&
            memcmp(&cells[before.start], &cells[view.start], before.length * sizeof(int32_t)) == 0;
        in_list = view.continues ? in_list + 1 : 1;
        if (view.continues) {
            const auto own = cells.begin() + view.start;
            std::copy(own + before.length, own + view.length, cells.begin() + before.start + before.length);
            view.start = before.start;
            cells.resize(view.start + view.length);
        }
        attention->rows.push_back(view);
    }
    return true;
}

bool extras_attention_fits(const struct ggml_tensor * node) {
    const ggml_tensor *queries = node->src[0], *keys = node->src[1], *values = node->src[2], *mask = node->src[3];
    float              bias;
    memcpy(&bias, (const float *) node->op_params + 1, sizeof(bias));
    return kernel() != nullptr && bias == 0 && fits(keys) && fits(values) &&
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
    float own[3];  // The factor of products, the bias by distance, the cap.
    memcpy(own, (const char *) node->op_params + sizeof(ggml_custom_op_params), sizeof(own));
    in.cap   = own[2];
    in.scale = in.cap == 0 ? own[0] : own[0] / in.cap;
    in.sinks = node->src[4] == nullptr ? nullptr : (const float *) node->src[4]->data;
    in.cells = attention->cells.data();
    in.rows  = attention->rows.data();

    const int rows  = (int) queries->ne[1];
    const int heads = (int) queries->ne[2];
    const int most  = std::max(1, together / in.sharing);  // Rows at a time.

    const auto next = [&](int row) {
        int end = row + 1;
        while (end < rows && end - row < most && in.rows[end].continues) {
            end++;
        }
        return row_range{ row, end };
    };
    // Whole rows where that makes the threads equally busy, because a cell's heads lie side by side; else each thread
    // has its heads of all rows.
    std::vector<size_t> loads(thread_count);
    size_t              total = 0;
    int                 turn  = 0;
    for (row_range range = next(0); range.first < rows; range = next(range.end), turn++) {
        for (int row = range.first; row < range.end; row++) {
            loads[turn % thread_count] += in.rows[row].length;
            total += in.rows[row].length;
        }
    }
    const size_t largest = *std::max_element(loads.begin(), loads.end());
    const int    parts   = largest * thread_count <= total + total / 8 ? 1 : std::min(heads, thread_count);

    // A thread's, kept for its next node.
    struct line {
        alignas(64) float values[16];
    };
    static thread_local std::vector<line>       lines;
    static thread_local std::vector<head_state> states;
    // A line between them, or all would lie in the same few sets of the cache.
    const size_t width = (in.key_width + in.value_width) / 16 + 1;
    const size_t count = (size_t) heads * most;
    states.resize(std::max(states.size(), count));
    lines.resize(std::max(lines.size(), width * (count + block_size)));
    for (size_t index = 0; index < count; index++) {
        states[index].query = lines[index * width].values;
        states[index].sums  = states[index].query + in.key_width;
    }
    float * const   keys_unpacked = lines[count * width].values;
    const workspace work{ states.data(), keys_unpacked, keys_unpacked + block_size * in.key_width };
    const auto attend = kernel();
    turn              = 0;
    for (row_range range = next(0); range.first < rows; range = next(range.end)) {
        for (int part = 0; part < parts; part++, turn++) {
            if (turn % thread_count == thread) {
                attend(in, range, heads * part / parts, heads * (part + 1) / parts, work);
            }
        }
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
