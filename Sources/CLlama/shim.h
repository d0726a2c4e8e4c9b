// The public C API of the pinned llama.cpp, for the one Swift target that may import it (LlamaEngine).
#pragma once
#include <llama.h>
#include <ggml.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <gguf.h>
#include <mtmd.h>
#include <mtmd-helper.h>
#include <skein-engine.h>
