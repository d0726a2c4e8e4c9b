#include "llama_extras.h"

#include "src/llama-ext.h"

void extras_give_hidden_rows(struct llama_context * context) {
    llama_set_embeddings_nextn(context, /*value=*/true, /*masked=*/false);
}

const float * extras_hidden_rows(struct llama_context * context) { return llama_get_embeddings_nextn(context); }
