#include "llama_extras.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

// What the decoding on this thread may still allocate. Memory it frees does not count again: a file that unpacks to
// more than its header says runs out, however it is written.
thread_local size_t room = 0;

void * bounded_malloc(size_t size) {
    if (size > room) {
        return nullptr;
    }
    room -= size;
    return malloc(size);
}

void * bounded_realloc(void * old, size_t old_size, size_t size) {
    const size_t more = size > old_size ? size - old_size : 0;
    if (more > room) {
        return nullptr;
    }
    room -= more;
    return realloc(old, size);
}

}  // namespace

#define STBI_MALLOC(size) bounded_malloc(size)
#define STBI_REALLOC_SIZED(old, old_size, size) bounded_realloc(old, old_size, size)
#define STBI_FREE(pointer) free(pointer)
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_GIF
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 65535
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "stb/stb_image.h"
#pragma GCC diagnostic pop

uint8_t * extras_pixels_decode(const uint8_t * bytes, size_t length, size_t memory, int32_t * width, int32_t * height,
                               char ** error) {
    room           = memory;
    int       nx   = 0;
    int       ny   = 0;
    int       kept = 0;
    uint8_t * pixels =
        length > INT32_MAX ? nullptr : stbi_load_from_memory(bytes, static_cast<int>(length), &nx, &ny, &kept, 3);
    if (pixels == nullptr) {
        const char * reason = length > INT32_MAX ? "too long" : stbi_failure_reason();
        if (error != nullptr) {
            const size_t size = strlen(reason) + 1;
            *error            = static_cast<char *>(malloc(size));
            if (*error != nullptr) {
                memcpy(*error, reason, size);
            }
        }
        return nullptr;
    }
    *width  = nx;
    *height = ny;
    return pixels;
}

void extras_pixels_free(uint8_t * pixels) {
    free(pixels);
}
