// Attention of rows over the cells that each sees. Included once for each kind of processor, in a namespace of its own,
// with the instructions of that kind switched on and `register_count` vectors that fit into its registers: no include
// guard.
//
// Cells are taken in blocks. A block is gone through for all the heads before the next one, because a cell's heads lie
// side by side in memory and the cells of a lane anywhere; and what the next block needs is fetched meanwhile, because
// the processor cannot guess where that is. Heads of queries that share keys and values are computed together, and so
// are rows that see the same cells and one more each: up to seven as the cells are stored, more over cells that are
// unpacked once for all of them, in three passes, each of which has many products under way that do not wait for each
// other. What is computed for a row depends on its own cells and their order alone, not on who shares the step, the
// pool or the threads, nor on which of the two ways it goes.

#include "attention_vectors.h"

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

// The cells of a block, of one head of keys and values.
struct cell_block {
    int          size;
    const char * keys[block_size];  // Behind `size` any.
    const char * values[block_size];
    fetcher &    keys_ahead;
    fetcher &    values_ahead;
};

// The products of four cells and some heads, not yet summed up; `at_once` of the cells at a time.
template <typename Keys, int heads, int at_once>
static inline void multiply(const char * const * keys, int width, const head_state * states, f32x16 (*products)[4]) {
    for (int first = 0; first < 4; first += at_once) {
        f32x16 sums[heads][at_once] = {};
        for (int d = 0; d < width; d += 2 * lane_count) {
            f32x16 query[heads][2];
            for (int head = 0; head < heads; head++) {
                memcpy(query[head], states[head].query + d, sizeof(query[head]));
            }
            for (int cell = 0; cell < at_once; cell++) {
                f32x16 key[2];
                Keys::read(keys[first + cell], d, key);
                for (int head = 0; head < heads; head++) {
                    sums[head][cell] += key[0] * query[head][0];
                    sums[head][cell] += key[1] * query[head][1];
                }
            }
        }
        for (int head = 0; head < heads; head++) {
            memcpy(products[head] + first, sums[head], sizeof(sums[head]));
        }
    }
}

// Makes what a head has summed up relative to a larger product.
static inline void raise(head_state & state, float most, int width) {
    if (state.total > 0) {
        const float factor = expf(state.most - most);
        state.total *= factor;
        for (int d = 0; d < width; d++) {
            state.sums[d] *= factor;
        }
    }
    state.most = most;
}

static inline f32x16 capped(f32x16 products, float cap) { return cap == 0 ? products : tangent(products) * cap; }

// MARK: - Few heads: as the cells are stored

// Makes a block's products weights, relative to the largest one so far.
static inline void soften(const attention_rows & in, head_state & state, float * weights) {
    static_assert(block_size == lane_count, "a block's weights are one vector");
    const i32x16 places  = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    const f32x16 hidden  = f32x16{} - INFINITY;
    f32x16       weight  = capped(vector_at(weights), in.cap);
    weight               = places < state.left ? weight : hidden;
    state.left -= block_size;
    const float most = largest_of(weight);
    if (most > state.most) {
        raise(state, most, in.value_width);
    }
    weight = exponential(weight - state.most);
    memcpy(weights, &weight, sizeof(weight));
    state.total += sums_of(weight, weight, weight, weight)[0];
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

template <typename Keys, typename Values, int heads>
static void go_through_few(const attention_rows & in, const cell_block & block, head_state * states) {
    alignas(64) float weights[heads][block_size];
    for (int cell = 0; cell < block.size; cell += 4) {
        f32x16 products[heads][4];
        block.keys_ahead.fetch();
        multiply<Keys, heads, 4>(block.keys + cell, in.key_width, states, products);
        for (int head = 0; head < heads; head++) {
            const f32x4 sums = sums_of(products[head][0], products[head][1], products[head][2], products[head][3]);
            memcpy(weights[head] + cell, &sums, sizeof(sums));
        }
    }
    for (int head = 0; head < heads; head++) {
        soften(in, states[head], weights[head]);
    }
    constexpr int pairs = heads == 1 ? 4 : 2;
    int           d     = 0;
    for (; d + pairs * 2 * lane_count <= in.value_width; d += pairs * 2 * lane_count) {
        add<Values, heads, pairs>(block.values, block.size, states, weights, d, block.values_ahead);
    }
    for (; d < in.value_width; d += 2 * lane_count) {
        add<Values, heads, 1>(block.values, block.size, states, weights, d, block.values_ahead);
    }
}

// MARK: - Many heads: over unpacked cells

// A block's weights for four heads: of each cell those of the four, one cell after the other.
struct weights_of_four {
    f32x16 parts[block_size / 4];
};

// Some rows as floats, one after the other; `rows` are then those.
template <typename Floats> static inline void unpack(const char ** rows, int count, int width, float * out) {
    for (int row = 0; row < count; row++, out += width) {
        for (int d = 0; d < width; d += 2 * lane_count) {
            f32x16 values[2];
            Floats::read(rows[row], d, values);
            memcpy(out + d, values, sizeof(values));
        }
        rows[row] = (const char *) out;
    }
}

static inline void weigh_four(const attention_rows & in, const cell_block & block, const head_state * states,
                              weights_of_four & weights) {
    constexpr int at_once = register_count / 8;  // Of four heads as many sums as fit.
    for (int part = 0; part < block_size / 4; part++) {
        f32x16 products[4][4];
        block.keys_ahead.fetch();
        multiply<plain_floats, 4, at_once>(block.keys + 4 * part, in.key_width, states, products);
        weights.parts[part] = capped(sums_of(products), in.cap);
    }
}

static inline f32x16 for_each_cell(f32x4 four) {
    return __builtin_shufflevector(four, four, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
}

// What `soften` does, for four heads.
static inline void soften_four(const attention_rows & in, head_state * states, weights_of_four & weights) {
    static_assert(block_size == 16, "a block's weights of four heads are four vectors");
    f32x16 * const parts = weights.parts;
    int            left  = block_size;
    for (int head = 0; head < 4; head++) {
        left = std::min(left, states[head].left);
    }
    if (left < block_size) {
        const f32x16 hidden = f32x16{} - INFINITY;
        i32x16       ahead;
        for (int index = 0; index < lane_count; index++) {
            ahead[index] = states[index % 4].left - index / 4;
        }
        for (int part = 0; part < 4; part++) {
            parts[part] = ahead > 4 * part ? parts[part] : hidden;
        }
    }
    f32x16 most = larger(larger(parts[0], parts[1]), larger(parts[2], parts[3]));
    most        = larger(most, half_on(most));
    most        = larger(most, quarter_on(most));
    for (int head = 0; head < 4; head++) {
        states[head].left -= block_size;
        if (most[head] > states[head].most) {
            raise(states[head], most[head], in.value_width);
        }
    }
    const f32x4 largest = { states[0].most, states[1].most, states[2].most, states[3].most };
    most                = for_each_cell(largest);
    for (int part = 0; part < 4; part++) {
        parts[part] = exponential(parts[part] - most);
    }
    f32x16 total = (parts[0] + parts[2]) + (parts[1] + parts[3]);
    total += half_on(total);
    total += quarter_on(total);
    for (int head = 0; head < 4; head++) {
        states[head].total += total[head];
    }
}

// Adds what a block's cells have to the sums of four heads, `count` vectors of it.
template <int count>
static inline void add_four(const cell_block & block, int width, head_state * states, const weights_of_four & weights,
                            int d) {
    const auto * factors = (const float *) weights.parts;
    const auto * values  = (const float *) block.values[0] + d;  // The others lie behind it.
    f32x16       total[4][count];
    for (int head = 0; head < 4; head++) {
        memcpy(total[head], states[head].sums + d, sizeof(total[head]));
    }
    for (int cell = 0; cell < block.size; cell++, factors += 4, values += width) {
        if (d == 0) {
            block.values_ahead.fetch();
        }
        for (int index = 0; index < count; index++) {
            const f32x16 value = vector_at(values + index * lane_count);
            for (int head = 0; head < 4; head++) {
                total[head][index] += value * factors[head];
            }
        }
    }
    for (int head = 0; head < 4; head++) {
        memcpy(states[head].sums + d, total[head], sizeof(total[head]));
    }
}

// A block of unpacked cells for four heads each of `fours`. Each pass goes through all of them, so that what one waits
// for the others compute.
static void go_through_many(const attention_rows & in, const cell_block & block, head_state * states, int fours) {
    weights_of_four weights[together / 4];
    for (int four = 0; four < fours; four++) {
        weigh_four(in, block, states + 4 * four, weights[four]);
    }
    for (int four = 0; four < fours; four++) {
        soften_four(in, states + 4 * four, weights[four]);
    }
    constexpr int count = std::max(1, register_count / 8);
    for (int four = 0; four < fours; four++) {
        int d = 0;
        for (; d + count * lane_count <= in.value_width; d += count * lane_count) {
            add_four<count>(block, in.value_width, states + 4 * four, weights[four], d);
        }
        for (; d < in.value_width; d += lane_count) {
            add_four<1>(block, in.value_width, states + 4 * four, weights[four], d);
        }
    }
}

// MARK: - Rows

// Heads that share keys and values, those up to `end`, as many as fit together at a time.
template <typename Keys, typename Values>
static void go_through(const attention_rows & in, cell_block & block, head_state * states, head_state * end,
                       const workspace & work) {
    if (end - states >= few_heads) {
        unpack<Keys>(block.keys, block_size, in.key_width, work.keys);
        unpack<Values>(block.values, block.size, in.value_width, work.values);
        while (end - states >= 4) {
            const int fours = (int) std::min<ptrdiff_t>(end - states, together) / 4;
            go_through_many(in, block, states, fours);
            states += 4 * fours;
        }
        for (; states < end; states++) {
            go_through_few<plain_floats, plain_floats, 1>(in, block, states);
        }
        return;
    }
    if constexpr (register_count >= 32) {
        for (; end - states >= 4; states += 4) {
            go_through_few<Keys, Values, 4>(in, block, states);
        }
    }
    for (; end - states >= 2; states += 2) {
        go_through_few<Keys, Values, 2>(in, block, states);
    }
    for (; states < end; states++) {
        go_through_few<Keys, Values, 1>(in, block, states);
    }
}

// Heads `first` to `end` of the queries of some rows, of which the last one sees all cells that any of them does.
template <typename Keys, typename Values>
static void attend(const attention_rows & in, row_range rows, int first, int end, const workspace & work) {
    const int32_t * cells       = in.cells + in.rows[rows.first].start;
    const int       length      = in.rows[rows.end - 1].length;
    const int       first_group = first / in.sharing, last_group = (end - 1) / in.sharing + 1;
    const int       groups = last_group - first_group;
    auto *          state  = work.states;
    for (int head = first; head < end; head++) {
        for (int row = rows.first; row < rows.end; row++, state++) {
            const auto * query =
                (const float *) (in.queries + row * in.query_stride + head * in.query_head_stride);
            for (int d = 0; d < in.key_width; d++) {
                state->query[d] = query[d] * in.scale;
            }
            memset(state->sums, 0, in.value_width * sizeof(float));
            // A sink counts like a cell that has nothing.
            state->most  = in.sinks == nullptr ? -INFINITY : in.sinks[head];
            state->total = in.sinks == nullptr ? 0 : 1;
            state->left  = in.rows[row].length;
        }
    }
    for (int start = 0; start < length; start += block_size, cells += block_size) {
        const int size = std::min(length - start, block_size);
        const int next = std::min(length - start - size, block_size);
        fetcher   keys_ahead(in.keys + first_group * in.key_head_stride, in.key_stride, cells + size, next,
                             groups * in.key_bytes, groups * ((size + 3) / 4));
        fetcher   values_ahead(in.values + first_group * in.value_head_stride, in.value_stride, cells + size, next,
                               groups * in.value_bytes, groups * size);
        state = work.states;
        for (int group = first_group; group < last_group; group++) {
            cell_block block{ size, {}, {}, keys_ahead, values_ahead };
            for (int cell = 0; cell < size; cell++) {
                block.keys[cell]   = in.keys + cells[cell] * in.key_stride + group * in.key_head_stride;
                block.values[cell] = in.values + cells[cell] * in.value_stride + group * in.value_head_stride;
            }
            // The last one stands for those that are not there.
            std::fill(block.keys + size, block.keys + block_size, block.keys[size - 1]);
            const int heads = std::min(end, (group + 1) * in.sharing) - std::max(first, group * in.sharing);
            auto *    last  = state + heads * (rows.end - rows.first);
            go_through<Keys, Values>(in, block, state, last, work);
            state = last;
        }
    }
    state = work.states;
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
static void attend(const attention_rows & in, row_range rows, int first, int end, const workspace & work) {
    switch (in.value_type) {
        case GGML_TYPE_F32: return attend<Keys, plain_floats>(in, rows, first, end, work);
        case GGML_TYPE_F16: return attend<Keys, half_floats>(in, rows, first, end, work);
        default: return attend<Keys, eight_bits>(in, rows, first, end, work);
    }
}

static void attend(const attention_rows & in, row_range rows, int first, int end, const workspace & work) {
    switch (in.key_type) {
        case GGML_TYPE_F32: return attend<plain_floats>(in, rows, first, end, work);
        case GGML_TYPE_F16: return attend<half_floats>(in, rows, first, end, work);
        default: return attend<eight_bits>(in, rows, first, end, work);
    }
}
