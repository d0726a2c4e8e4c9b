#include "llama_extras.h"

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <time.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

namespace {

struct free_context {
    void operator()(ggml_context * context) const { ggml_free(context); }
};
struct free_buffer {
    void operator()(ggml_backend_buffer * buffer) const { ggml_backend_buffer_free(buffer); }
};
struct free_backend {
    void operator()(ggml_backend * backend) const { ggml_backend_free(backend); }
};
struct free_pool {
    void operator()(ggml_threadpool * pool) const { ggml_threadpool_free(pool); }
};

using context_pointer = std::unique_ptr<ggml_context, free_context>;
using buffer_pointer  = std::unique_ptr<ggml_backend_buffer, free_buffer>;
using backend_pointer = std::unique_ptr<ggml_backend, free_backend>;
using pool_pointer    = std::unique_ptr<ggml_threadpool, free_pool>;

// A byte that makes a usual number of every type: 44 in eight bits, 0.065 in half precision.
constexpr uint8_t FILLING = 0x2c;

// Time that processors spent for this process.
double processor_nanoseconds() {
    timespec spent = {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return spent.tv_sec * 1e9 + spent.tv_nsec;
}

// A device made ready to compute, with threads of its own where it is the processor.
struct bench {
    pool_pointer       pool;
    backend_pointer    backend;
    ggml_backend_dev_t device = nullptr;

    bench(const char * name, int32_t threads) {
        device = name != nullptr ? ggml_backend_dev_by_name(name) :
                                   ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        if (device == nullptr) {
            return;
        }
        backend.reset(ggml_backend_dev_init(device, nullptr));
        if (backend == nullptr || ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU) {
            return;
        }
        ggml_backend_cpu_set_n_threads(backend.get(), threads);
        if (threads > 1) {
            ggml_threadpool_params parameters = ggml_threadpool_params_default(threads);
            pool.reset(ggml_threadpool_new(&parameters));
            ggml_backend_cpu_set_threadpool(backend.get(), pool.get());
        }
    }

    ~bench() { backend.reset(); }

    // Where a model would have the weights of this product: the processor has places of its own for some types, and
    // those that go by strips stay as they are, but for tiles.
    ggml_backend_buffer_type_t place(ggml_tensor * weights, ggml_tensor * product) const {
        auto * registry = ggml_backend_dev_backend_reg(device);
        auto   extra    = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
            ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"));
        auto * places = extra != nullptr ? extra(device) : nullptr;
        for (; places != nullptr && *places != nullptr; places++) {
            const bool is_for_tiles = strcmp(ggml_backend_buft_name(*places), "AMX") == 0;
            if (extras_multiplies_by_strips(weights->type) && !is_for_tiles) {
                continue;
            }
            buffer_pointer empty(ggml_backend_buft_alloc_buffer(*places, 0));
            weights->buffer    = empty.get();
            const bool is_able = empty != nullptr && ggml_backend_dev_supports_op(device, product);
            weights->buffer    = nullptr;
            if (is_able) {
                return *places;
            }
        }
        return ggml_backend_dev_buffer_type(device);
    }

    // Runs the graph once unseen, then `count` times.
    size_t time(ggml_cgraph * graph, extras_time * times, size_t count) const {
        for (size_t run = 0; run <= count; run++) {
            const double spent = processor_nanoseconds();
            const auto   began = std::chrono::steady_clock::now();
            if (ggml_backend_graph_compute(backend.get(), graph) != GGML_STATUS_SUCCESS) {
                return 0;
            }
            const auto took = std::chrono::steady_clock::now() - began;
            if (run > 0) {
                times[run - 1] = { std::chrono::duration<double, std::nano>(took).count(),
                                   processor_nanoseconds() - spent };
            }
        }
        return count;
    }
};

context_pointer make_context(size_t tensors) {
    const size_t bytes = tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(tensors, false) + 4096;
    return context_pointer(ggml_init({ bytes, nullptr, true }));
}

void fill(ggml_tensor * tensor) {
    const std::vector<uint8_t> bytes(ggml_nbytes(tensor), FILLING);
    ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
}

}  // namespace

bool extras_multiplies_by_strips(uint32_t type) {
    switch (type) {
        case GGML_TYPE_Q8_0:
        case GGML_TYPE_Q4_K:
        case GGML_TYPE_Q5_K:
        case GGML_TYPE_Q6_K: return ggml_cpu_has_avx512_vnni() != 0;
        default: return false;
    }
}

size_t extras_time_products(const char * device, uint32_t type, int64_t width, int64_t height, int32_t matrices,
                            int32_t rows, int32_t threads, extras_time * times, size_t count,
                            uint64_t * weight_bytes) try {
    if (type >= GGML_TYPE_COUNT || width % ggml_blck_size(static_cast<ggml_type>(type)) != 0) {
        return 0;
    }
    const bench bench(device, threads);
    if (bench.backend == nullptr) {
        return 0;
    }
    auto    weights_context = make_context(matrices + 8);
    auto    graph_context   = make_context(matrices + 8);
    auto *  input           = ggml_new_tensor_2d(graph_context.get(), GGML_TYPE_F32, width, rows);
    auto *  graph           = ggml_new_graph_custom(graph_context.get(), matrices + 8, false);
    std::vector<ggml_tensor *> weights;
    *weight_bytes = 0;
    for (int32_t index = 0; index < matrices; index++) {
        auto * matrix = ggml_new_tensor_2d(weights_context.get(), static_cast<ggml_type>(type), width, height);
        weights.push_back(matrix);
        *weight_bytes += ggml_nbytes(matrix);
        ggml_build_forward_expand(graph, ggml_mul_mat(graph_context.get(), matrix, input));
    }
    auto * place = bench.place(weights[0], ggml_graph_node(graph, 0));
    const buffer_pointer weights_buffer(ggml_backend_alloc_ctx_tensors_from_buft(weights_context.get(), place));
    const buffer_pointer graph_buffer(ggml_backend_alloc_ctx_tensors(graph_context.get(), bench.backend.get()));
    if (weights_buffer == nullptr || graph_buffer == nullptr) {
        return 0;
    }
    ggml_backend_buffer_set_usage(weights_buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    if (!ggml_backend_dev_supports_op(bench.device, ggml_graph_node(graph, 0))) {
        return 0;
    }
    for (auto * matrix : weights) {
        fill(matrix);
    }
    fill(input);
    return bench.time(graph, times, count);
} catch (...) {
    return 0;
}

size_t extras_time_attention(const char * device, int64_t cells, int64_t heads, int64_t pairs, int64_t size,
                             int32_t layers, int32_t threads, extras_time * times, size_t count) try {
    const bench bench(device, threads);
    if (bench.backend == nullptr) {
        return 0;
    }
    auto   context = make_context(8 * layers + 16);
    auto * graph   = ggml_new_graph_custom(context.get(), 8 * layers + 16, false);
    auto * queries = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, size, 1, heads);
    auto * mask    = ggml_new_tensor_2d(context.get(), GGML_TYPE_F16, cells, 1);
    for (int32_t layer = 0; layer < layers; layer++) {
        const auto view = [&] {
            auto * cache = ggml_new_tensor_2d(context.get(), GGML_TYPE_F16, size * pairs, cells);
            return ggml_view_3d(context.get(), cache, size, cells, pairs, cache->nb[1],
                                ggml_row_size(GGML_TYPE_F16, size), 0);
        };
        auto * keys   = view();
        auto * values = view();
        ggml_build_forward_expand(
            graph, ggml_flash_attn_ext(context.get(), queries, keys, values, mask, 1.0f / 64, 0.0f, 0.0f));
    }
    const buffer_pointer buffer(ggml_backend_alloc_ctx_tensors(context.get(), bench.backend.get()));
    if (buffer == nullptr || !ggml_backend_dev_supports_op(bench.device, ggml_graph_node(graph, -1))) {
        return 0;
    }
    for (auto * tensor = ggml_get_first_tensor(context.get()); tensor != nullptr;
         tensor        = ggml_get_next_tensor(context.get(), tensor)) {
        if (tensor->op == GGML_OP_NONE && tensor->view_src == nullptr) {
            fill(tensor);
        }
    }
    return bench.time(graph, times, count);
} catch (...) {
    return 0;
}
