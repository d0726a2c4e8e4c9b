#include "builtin_model.h"

static const uint8_t model[] = {
#embed "../../Models/skein-tiny-q8_0.gguf"
};

const uint8_t * builtin_model_bytes(void) { return model; }
size_t          builtin_model_size(void) { return sizeof model; }
