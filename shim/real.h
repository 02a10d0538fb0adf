// SPDX-License-Identifier: Apache-2.0
// The next definition of each interposed symbol: libc's, or another preload's. And
// the declarations of our own, which carry the symbol's name as an assembler label,
// because libc's headers declare those names in many ways.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/profil.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>

#include "shim/base/next.h"

namespace siprof::real {

using shim::Next;

#define SIPROF_INTERPOSE(name, result, parameters) extern Next<result parameters> name;
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE

}  // namespace siprof::real

#define SIPROF_INTERPOSE(name, result, parameters) \
  extern "C" __attribute__((visibility("default"))) result siprof_##name parameters asm(#name);
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE
