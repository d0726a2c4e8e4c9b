#include "llama_extras.h"

#include "src/llama-context.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>

void extras_compute_row_by_row(struct llama_context * context, bool is_on) {
    auto * scheduler = context->get_sched();
    for (int index = 0; index < ggml_backend_sched_get_n_backends(scheduler); index++) {
        auto * backend = ggml_backend_sched_get_backend(scheduler, index);
        if (ggml_backend_is_cpu(backend)) {
            ggml_backend_cpu_set_use_ref(backend, is_on);
        }
    }
}
