#include "builtin_model.h"

static const uint8_t model[] = {
#embed "../../Models/skein-tiny-q8_0.gguf"
};

static const uint8_t draft[] = {
#embed "../../Models/skein-tiny-draft-q8_0.gguf"
};

const uint8_t * builtin_model_bytes(void) { return model; }
size_t          builtin_model_size(void) { return sizeof model; }
const uint8_t * builtin_draft_bytes(void) { return draft; }
size_t          builtin_draft_size(void) { return sizeof draft; }
