// SPDX-License-Identifier: Apache-2.0
// An allocator that was preloaded before us: LD_PRELOAD="libjemalloc.so libsiprof.so". The loader has bound
// the program's calls to it, so that none comes by our wrappers.
#pragma once

namespace siprof::shim {

// Makes our wrappers stand before it, as if we had been named first: what is bound already is bound to us,
// and the loader doesn't find its definitions any more. Nothing happens where nothing stands before us, where
// it is the program itself (its own calls know no detour), or calls our wrappers anyway. Context: the
// constructor. Errors: then it stays as it was, and the profile says so (heap_unseen).
void stand_before_earlier_allocator();

}  // namespace siprof::shim
