// Attention of rows over the cells that each sees. Included once for each kind of processor, in a namespace of its own,
// with the instructions of that kind switched on: no include guard.
//
// Cells are taken in blocks. A block is gone through for all the heads before the next one, because a cell's heads lie
// side by side in memory and the cells of a lane anywhere; and what the next block needs is fetched meanwhile, because
// the processor cannot guess where that is. Heads of queries that share keys and values are computed together, and so
// are rows that see the same cells and one more each. What is computed for a row depends on its own cells and their
// order alone, not on who shares the step, the pool or the threads.

typedef float    f32x16 __attribute__((vector_size(64)));
typedef int32_t  i32x16 __attribute__((vector_size(64)));
typedef int8_t   i8x16 __attribute__((vector_size(16)));
typedef _Float16 f16x16 __attribute__((vector_size(32)));

static constexpr int lane_count = 16;

// How rows of a cache are stored; `read` reads two vectors, from the d-th value on, d a multiple of 32.
struct plain_floats {
    static inline void read(const char * row, int d, f32x16 * out) {
        memcpy(out, row + d * sizeof(float), 2 * sizeof(f32x16));
    }
};

struct half_floats {
    static inline void read(const char * row, int d, f32x16 * out) {
        f16x16 values[2];
        memcpy(values, row + d * sizeof(_Float16), sizeof(values));
        out[0] = __builtin_convertvector(values[0], f32x16);
        out[1] = __builtin_convertvector(values[1], f32x16);
    }
};

// Source: block_q8_0 of ggml: a factor in f16 and 32 values.
struct eight_bits {
    static inline void read(const char * row, int d, f32x16 * out) {
        const char * block = row + d / 32 * 34;
        _Float16     factor;
        i8x16        values[2];
        memcpy(&factor, block, sizeof(factor));
        memcpy(values, block + sizeof(factor), sizeof(values));
        out[0] = __builtin_convertvector(values[0], f32x16) * (float) factor;
        out[1] = __builtin_convertvector(values[1], f32x16) * (float) factor;
    }
};

typedef float f32x4 __attribute__((vector_size(16)));

// The sums of four vectors.
static inline f32x4 sums_of(f32x16 a, f32x16 b, f32x16 c, f32x16 d) {
    const f32x16 ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                      __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    const f32x16 cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                      __builtin_shufflevector(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    const f32x16 all = __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                       __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    const f32x16 pairs =
        all + __builtin_shufflevector(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    const f32x16 sums =
        pairs + __builtin_shufflevector(pairs, pairs, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    return __builtin_shufflevector(sums, sums, 0, 4, 8, 12);
}

// e^x for x at most 0, to the last bit or two; 0 where that is below the smallest normal number.
static inline f32x16 exponential(f32x16 x) {
    const f32x16 zero  = {};
    const f32x16 magic = zero + 12582912.0f;  // Adding it rounds to a whole number.
    const f32x16 shifted = x * 1.44269504f + magic;
    const f32x16 whole   = shifted - magic;
    const f32x16 rest    = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
    f32x16       series  = zero + 1.9875691500e-4f;
    series               = series * rest + 1.3981999507e-3f;
    series               = series * rest + 8.3334519073e-3f;
    series               = series * rest + 4.1665795894e-2f;
    series               = series * rest + 1.6666665459e-1f;
    series               = series * rest + 5.0000001201e-1f;
    series               = series * rest * rest + rest + 1.0f;
    i32x16 bits;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits + 127) << 23;  // The whole number is in the last bits, by what was added.
    f32x16 power;
    memcpy(&power, &bits, sizeof(power));
    return x < -87.0f ? zero : series * power;
}

// Fetches what the next block needs into the caches, a few lines at a time: all at once they would stand in the way of
// what is computed meanwhile. A cell at a time, because memory is several times as quick in its own order.
struct fetcher {
    const char *    rows;
    size_t          stride;
    const int32_t * cells;
    int             left;   // Cells.
    int             bytes;  // Of a cell.
    int             share;  // Lines at a time.
    int             offset = 0;

    // `turns` is how often `fetch` will be called.
    fetcher(const char * rows, size_t stride, const int32_t * cells, int count, int bytes, int turns)
        : rows(rows), stride(stride), cells(cells), left(count), bytes(bytes) {
        share = (count * ((bytes + 63) / 64) + turns - 1) / turns;
    }

    inline void fetch() {
        for (int line = 0; line < share && left > 0; line++) {
            __builtin_prefetch(rows + *cells * stride + offset, 0, 2);
            offset += 64;
            if (offset >= bytes) {
                offset = 0;
                cells++;
                left--;
            }
        }
    }
};

// How much some cells count for some heads: two for eight heads, else four, as many as fit into registers.
template <typename Keys, int heads>
static inline void weigh(const char * const * keys, int width, const head_state * states, float (*weights)[block_size],
                         int first) {
    constexpr int count = heads == 8 ? 2 : 4;
    f32x16        products[heads][count] = {};
    for (int d = 0; d < width; d += 2 * lane_count) {
        for (int cell = 0; cell < count; cell++) {
            f32x16 key[2];
            Keys::read(keys[cell], d, key);
            for (int head = 0; head < heads; head++) {
                f32x16 query[2];
                memcpy(query, states[head].query + d, sizeof(query));
                products[head][cell] += key[0] * query[0];
                products[head][cell] += key[1] * query[1];
            }
        }
    }
    if constexpr (count == 4) {
        for (int head = 0; head < heads; head++) {
            const f32x4 sums = sums_of(products[head][0], products[head][1], products[head][2], products[head][3]);
            memcpy(weights[head] + first, &sums, sizeof(sums));
        }
    } else {
        for (int head = 0; head < heads; head += 2) {
            const f32x4 sums =
                sums_of(products[head][0], products[head][1], products[head + 1][0], products[head + 1][1]);
            memcpy(weights[head] + first, &sums, sizeof(sums) / 2);
            memcpy(weights[head + 1] + first, (const char *) &sums + sizeof(sums) / 2, sizeof(sums) / 2);
        }
    }
}

// Adds what a block's cells have to the sums of some heads, `count` pairs of vectors of it.
template <typename Values, int heads, int count>
static inline void add(const char * const * values, int size, head_state * states,
                       const float (*weights)[block_size], int d, fetcher & ahead) {
    f32x16 total[heads][2 * count];
    for (int head = 0; head < heads; head++) {
        memcpy(total[head], states[head].sums + d, sizeof(total[head]));
    }
    for (int cell = 0; cell < size; cell++) {
        if (d == 0) {
            ahead.fetch();
        }
        for (int pair = 0; pair < count; pair++) {
            f32x16 value[2];
            Values::read(values[cell], d + pair * 2 * lane_count, value);
            for (int head = 0; head < heads; head++) {
                total[head][2 * pair] += value[0] * weights[head][cell];
                total[head][2 * pair + 1] += value[1] * weights[head][cell];
            }
        }
    }
    for (int head = 0; head < heads; head++) {
        memcpy(states[head].sums + d, total[head], sizeof(total[head]));
    }
}

// Makes what was summed up relative to the largest product so far, and the products weights.
static inline void soften(head_state & state, float * weights, int width) {
    const int size = std::min(std::max(state.left, 0), block_size);
    std::fill(weights + size, weights + block_size, -INFINITY);
    state.left -= block_size;
    const float before = state.most;
    for (int cell = 0; cell < size; cell++) {
        state.most = std::max(state.most, weights[cell]);
    }
    if (state.most > before && state.total > 0) {
        const float factor = expf(before - state.most);
        state.total *= factor;
        for (int d = 0; d < width; d++) {
            state.sums[d] *= factor;
        }
    }
    f32x16 added = {};
    for (int cell = 0; cell < block_size; cell += lane_count) {
        f32x16 weight;
        memcpy(&weight, weights + cell, sizeof(weight));
        weight = exponential(weight - state.most);
        memcpy(weights + cell, &weight, sizeof(weight));
        added += weight;
    }
    state.total += sums_of(added, added, added, added)[0];
}

// A block's cells for some heads that share keys and values.
template <typename Keys, typename Values, int heads>
static void go_through(const attention_rows & in, const char * const * keys, const char * const * values, int size,
                       head_state * states, fetcher & keys_ahead, fetcher & values_ahead) {
    alignas(64) float weights[heads][block_size];
    for (int cell = 0; cell < size; cell += heads == 8 ? 2 : 4) {
        keys_ahead.fetch();
        weigh<Keys, heads>(keys + cell, in.key_width, states, weights, cell);
    }
    for (int head = 0; head < heads; head++) {
        soften(states[head], weights[head], in.value_width);
    }
    // As many sums as fit into registers.
    constexpr int pairs = heads == 1 ? 4 : heads == 2 ? 2 : 1;
    int           d     = 0;
    for (; d + pairs * 2 * lane_count <= in.value_width; d += pairs * 2 * lane_count) {
        add<Values, heads, pairs>(values, size, states, weights, d, values_ahead);
    }
    for (; d < in.value_width; d += 2 * lane_count) {
        add<Values, heads, 1>(values, size, states, weights, d, values_ahead);
    }
}

// Heads `first` to `end` of the queries of some rows, of which the last one sees all cells that any of them does.
template <typename Keys, typename Values>
static void attend(const attention_rows & in, row_range rows, int first, int end, head_state * states) {
    const int32_t * cells       = in.cells + in.rows[rows.first].start;
    const int       length      = in.rows[rows.end - 1].length;
    const int       first_group = first / in.sharing, last_group = (end - 1) / in.sharing + 1;
    const int       groups = last_group - first_group;
    auto *          state  = states;
    for (int head = first; head < end; head++) {
        for (int row = rows.first; row < rows.end; row++, state++) {
            const auto * query =
                (const float *) (in.queries + row * in.query_stride + head * in.query_head_stride);
            for (int d = 0; d < in.key_width; d++) {
                state->query[d] = query[d] * in.scale;
            }
            memset(state->sums, 0, in.value_width * sizeof(float));
            state->most  = -INFINITY;
            state->total = 0;
            state->left  = in.rows[row].length;
        }
    }
    for (int start = 0; start < length; start += block_size, cells += block_size) {
        const int    size = std::min(length - start, block_size);
        const int    next = std::min(length - start - size, block_size);
        const char * keys[block_size];
        const char * values[block_size];
        fetcher      keys_ahead(in.keys + first_group * in.key_head_stride, in.key_stride, cells + size, next,
                                groups * in.key_bytes, groups * ((size + 3) / 4));
        fetcher      values_ahead(in.values + first_group * in.value_head_stride, in.value_stride, cells + size, next,
                                  groups * in.value_bytes, groups * size);
        state = states;
        for (int group = first_group; group < last_group; group++) {
            for (int cell = 0; cell < size; cell++) {
                keys[cell]   = in.keys + cells[cell] * in.key_stride + group * in.key_head_stride;
                values[cell] = in.values + cells[cell] * in.value_stride + group * in.value_head_stride;
            }
            // Four at a time: the last one stands for those that are not there.
            for (int cell = size; cell % 4 != 0; cell++) {
                keys[cell] = keys[size - 1];
            }
            const int heads = std::min(end, (group + 1) * in.sharing) - std::max(first, group * in.sharing);
            auto *    last  = state + heads * (rows.end - rows.first);
            for (; last - state >= 8; state += 8) {
                go_through<Keys, Values, 8>(in, keys, values, size, state, keys_ahead, values_ahead);
            }
            for (; last - state >= 4; state += 4) {
                go_through<Keys, Values, 4>(in, keys, values, size, state, keys_ahead, values_ahead);
            }
            for (; last - state >= 2; state += 2) {
                go_through<Keys, Values, 2>(in, keys, values, size, state, keys_ahead, values_ahead);
            }
            for (; last > state; state++) {
                go_through<Keys, Values, 1>(in, keys, values, size, state, keys_ahead, values_ahead);
            }
        }
    }
    state = states;
    for (int head = first; head < end; head++) {
        for (int row = rows.first; row < rows.end; row++, state++) {
            auto *      out    = (float *) (in.out + row * in.out_stride + head * in.out_head_stride);
            const float factor = state->total == 0 ? 0 : 1 / state->total;
            for (int d = 0; d < in.value_width; d++) {
                out[d] = state->sums[d] * factor;
            }
        }
    }
}

template <typename Keys>
static void attend(const attention_rows & in, row_range rows, int first, int end, head_state * states) {
    switch (in.value_type) {
        case GGML_TYPE_F32: return attend<Keys, plain_floats>(in, rows, first, end, states);
        case GGML_TYPE_F16: return attend<Keys, half_floats>(in, rows, first, end, states);
        default: return attend<Keys, eight_bits>(in, rows, first, end, states);
    }
}

static void attend(const attention_rows & in, row_range rows, int first, int end, head_state * states) {
    switch (in.key_type) {
        case GGML_TYPE_F32: return attend<plain_floats>(in, rows, first, end, states);
        case GGML_TYPE_F16: return attend<half_floats>(in, rows, first, end, states);
        default: return attend<eight_bits>(in, rows, first, end, states);
    }
}
