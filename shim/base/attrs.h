// SPDX-License-Identifier: Apache-2.0
// Compiler attributes the shim uses, named for what they promise.
#pragma once

// May run in a signal handler at any instruction of the app: no lock, no heap,
// no libc state. Held by scripts/check-signal-safe on the object code.
#define SIPROF_SIGNAL_SAFE __attribute__((section(".text.sigsafe")))

// Seen by the app in place of libc's function of the same name.
#define SIPROF_EXPORT extern "C" __attribute__((visibility("default")))

// A variable of our own that is declared before it is defined: reached without a detour by the global offset
// table.
#define SIPROF_OWN __attribute__((visibility("hidden")))

// What every start writes to: together, so that a program that ends at once pays for one
// page of ours and not for one here and one there (measured: 1 µs each).
#define SIPROF_EARLY __attribute__((section(".data.early")))

// Thread storage that needs no call and no allocation to reach.
#define SIPROF_TLS __attribute__((tls_model("initial-exec"))) __thread

#define SIPROF_LIKELY(x) __builtin_expect(!!(x), 1)
#define SIPROF_UNLIKELY(x) __builtin_expect(!!(x), 0)
