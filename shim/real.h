// SPDX-License-Identifier: Apache-2.0
// The next definition of each interposed symbol: libc's, or another preload's. And
// the declarations of our own, which carry the symbol's name as an assembler label,
// because libc's headers declare those names in many ways.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/profil.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>

#include "shim/base/next.h"

namespace siprof::real {

using shim::Next;

namespace text {
#define SIPROF_INTERPOSE(name, result, parameters) inline constexpr char name[] = #name;
#define SIPROF_INTERPOSE_VERSION(own, symbol, at, version, result, parameters) \
  inline constexpr char own[] = #symbol;                                       \
  inline constexpr char version_of_##own[] = version;
#define SIPROF_INTERPOSE_OWN(name, result, parameters)
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE_VERSION
#undef SIPROF_INTERPOSE
#undef SIPROF_INTERPOSE_OWN
}  // namespace text

#define SIPROF_INTERPOSE(name, result, parameters) extern Next<result parameters, text::name> name;
#define SIPROF_INTERPOSE_VERSION(own, symbol, at, version, result, parameters) \
  extern Next<result parameters, text::own, text::version_of_##own> own;
#define SIPROF_INTERPOSE_OWN(name, result, parameters)
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE_VERSION
#undef SIPROF_INTERPOSE
#undef SIPROF_INTERPOSE_OWN

}  // namespace siprof::real

#define SIPROF_INTERPOSE(name, result, parameters) \
  extern "C" __attribute__((visibility("default"))) result siprof_##name parameters asm(#name);
// The assembler gives the symbol its version; of its own name the linker keeps none (siprof.map).
#define SIPROF_INTERPOSE_VERSION(own, symbol, at, version, result, parameters) \
  extern "C" __attribute__((visibility("default"))) result siprof_##own parameters;
#define SIPROF_INTERPOSE_OWN SIPROF_INTERPOSE
#include "shim/interposed.def"
#undef SIPROF_INTERPOSE_OWN
#undef SIPROF_INTERPOSE_VERSION
#undef SIPROF_INTERPOSE
