#include "llama_extras.h"

#include "src/llama-ext.h"

#include <ggml-backend.h>

size_t extras_memory_breakdown(const struct llama_context * context, struct extras_memory * out, size_t capacity) {
    size_t count = 0;
    for (const auto & [type, bytes] : llama_get_memory_breakdown(context)) {
        if (count == capacity) {
            break;
        }
        out[count++] = { bytes.model, bytes.context, bytes.compute, ggml_backend_buft_is_host(type) };
    }
    return count;
}
