// Vectors of sixteen floats, and how rows of a cache are read into them. Included once for each kind of processor, see
// attention_kernel.h: no include guard.

typedef float    f32x4 __attribute__((vector_size(16)));
typedef float    f32x16 __attribute__((vector_size(64)));
typedef int32_t  i32x16 __attribute__((vector_size(64)));
typedef int8_t   i8x16 __attribute__((vector_size(16)));
typedef _Float16 f16x16 __attribute__((vector_size(32)));

static constexpr int lane_count = 16;

static inline f32x16 vector_at(const float * floats) {
    f32x16 vector;
    memcpy(&vector, floats, sizeof(vector));
    return vector;
}

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

// Of four vectors, four partial sums each, side by side.
static inline f32x16 quarters_of(f32x16 a, f32x16 b, f32x16 c, f32x16 d) {
    const f32x16 ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                      __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    const f32x16 cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                      __builtin_shufflevector(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
           __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}

// The sums of four vectors.
static inline f32x4 sums_of(f32x16 a, f32x16 b, f32x16 c, f32x16 d) {
    const f32x16 all = quarters_of(a, b, c, d);
    const f32x16 pairs =
        all + __builtin_shufflevector(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    const f32x16 sums =
        pairs + __builtin_shufflevector(pairs, pairs, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    return __builtin_shufflevector(sums, sums, 0, 4, 8, 12);
}

// The sums of four times four vectors, added up in the order of `sums_of`: the first of each four, the second of each,
// and so on.
static inline f32x16 sums_of(const f32x16 (*vectors)[4]) {
    f32x16 all[4];
    for (int four = 0; four < 4; four++) {
        all[four] = quarters_of(vectors[four][0], vectors[four][1], vectors[four][2], vectors[four][3]);
    }
    f32x16 pairs[2];
    for (int half = 0; half < 2; half++) {
        const f32x16 a = all[2 * half], b = all[2 * half + 1];
        pairs[half] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
                      __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
    const f32x16 a = pairs[0], b = pairs[1];
    return __builtin_shufflevector(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
           __builtin_shufflevector(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}

static inline f32x16 larger(f32x16 a, f32x16 b) { return a > b ? a : b; }

// Of each value the vector has its half, or its quarter, of the way on.
static inline f32x16 half_on(f32x16 a) {
    return __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
}

static inline f32x16 quarter_on(f32x16 a) {
    return __builtin_shufflevector(a, a, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3);
}

// The largest of a vector's values.
static inline float largest_of(f32x16 a) {
    a = larger(a, half_on(a));
    a = larger(a, quarter_on(a));
    a = larger(a, __builtin_shufflevector(a, a, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3));
    return std::max(a[0], a[1]);
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

// The hyperbolic tangent, to 1e-7 of one.
static inline f32x16 tangent(f32x16 x) {
    const f32x16 power = exponential(x < 0.0f ? x * 2.0f : x * -2.0f);
    const f32x16 size  = (1.0f - power) / (1.0f + power);
    return x < 0.0f ? -size : size;
}
