// SPDX-License-Identifier: Apache-2.0
// Objects of up to 512 bytes, which the interpreter allocates out of memory of its own: they count as
// malloc's blocks do (heap.h), by the same countdown. What is larger comes by malloc, and is seen there.
#pragma once

namespace siprof::shim {

// Nothing happens where the interpreter has another allocator than its usual one: of the program's own, of
// tracemalloc, for debugging, or malloc. Context: a thread with the interpreter's lock.
void enter_memory();
// The program's allocator is put back, unless another one stands before ours. Context: as above, or the
// interpreter has ended.
void leave_memory();

}  // namespace siprof::shim
