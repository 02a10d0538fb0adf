// SPDX-License-Identifier: Apache-2.0
// Metrics of the interpreter: collections of its garbage and how long they took, by a callback in
// gc.callbacks; modules and allocated blocks, looked at on such an occasion. Context: a thread with the
// interpreter's lock.
#pragma once

namespace siprof::shim {

void watch_collections();
void forget_collections();  // the interpreter has ended

}  // namespace siprof::shim
