// SPDX-License-Identifier: Apache-2.0
// Wrappers of reads, writes and other calls on descriptors: those of io_calls.def. Compiled with exceptions,
// which is how a cancelled thread leaves the real call.
#include <errno.h>

#include "shim/io_waits.h"
#include "shim/probe/python_entry.h"
#include "shim/real.h"

using namespace siprof;
using namespace siprof::shim;

namespace {

long bytes_of(const struct mmsghdr* messages, int count) {
  long bytes = 0;
  for (int i = 0; i < count; ++i) bytes += messages[i].msg_len;
  return bytes;
}

}  // namespace

#define SIPROF_IO(name, id, type, parameters, arguments, fd, bytes) \
  type siprof_##name parameters {                                   \
    if (!calls_are_timed()) return real::name arguments;            \
    const Stopwatch watch = begin_call();                           \
    const type result = real::name arguments;                       \
    note_io(IoCall::id, fd, watch, bytes);                          \
    return result;                                                  \
  }
// As the app's own probe of it would fail.
#define SIPROF_IO_NEW(name, id, type, parameters, arguments, fd, bytes) \
  type siprof_##name parameters {                                       \
    if (real::name.get() == nullptr) {                                  \
      errno = ENOSYS;                                                   \
      return -1;                                                        \
    }                                                                   \
    if (!calls_are_timed()) return real::name arguments;                \
    const Stopwatch watch = begin_call();                               \
    const type result = real::name arguments;                           \
    note_io(IoCall::id, fd, watch, bytes);                              \
    return result;                                                      \
  }
#define SIPROF_IO_SOCKET(name, id, type, parameters, arguments, fd, bytes, what)                      \
  type siprof_##name parameters {                                                                     \
    if (IoCall::id == IoCall::k_read) let_python_in();                                                \
    if (passes_through()) return real::name arguments;                                                \
    Wait wait = begin_wait();                                                                         \
    type result = real::name arguments;                                                               \
    while (SIPROF_UNLIKELY(result < 0) && call_again(&wait, fd, what)) result = real::name arguments; \
    end_wait(wait, IoCall::id, fd, bytes);                                                            \
    return result;                                                                                    \
  }
#define SIPROF_IO_IN(name, id, type, parameters, arguments, fd, bytes) \
  SIPROF_IO_SOCKET(name, id, type, parameters, arguments, fd, bytes, SocketWait::kIn)
#define SIPROF_IO_OUT(name, id, type, parameters, arguments, fd, bytes) \
  SIPROF_IO_SOCKET(name, id, type, parameters, arguments, fd, bytes,    \
                   IoCall::id == IoCall::k_connect ? SocketWait::kConnect : SocketWait::kOut)
#include "shim/io_calls.def"
#undef SIPROF_IO
#undef SIPROF_IO_NEW
#undef SIPROF_IO_IN
#undef SIPROF_IO_OUT
