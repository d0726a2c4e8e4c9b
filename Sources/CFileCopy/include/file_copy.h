// The kernel's own copy between files, which Swift's Glibc module does not show (_GNU_SOURCE).
#pragma once
#include <stddef.h>
#include <stdint.h>

// Copies up to `length` bytes from `source` at `from` to `target` at `to`, sharing blocks where the file system can.
// Returns the number of bytes copied, 0 at the end of the source, or -1 where the system cannot (errno says why).
intptr_t file_copy_range(int source, int64_t from, int target, int64_t to, size_t length);
