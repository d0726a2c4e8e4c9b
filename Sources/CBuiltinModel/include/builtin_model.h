// The built-in model and its draft (Models/README.md), embedded so that one binary is everything a first run needs.
#pragma once
#include <stddef.h>
#include <stdint.h>

const uint8_t * builtin_model_bytes(void);
size_t          builtin_model_size(void);
const uint8_t * builtin_draft_bytes(void);
size_t          builtin_draft_size(void);
