// SPDX-License-Identifier: Apache-2.0
// Blocking calls: exact sums of each by thread, in the shared memory, and what a sampled one says of itself.
// Included by shared_memory.h; any change here bumps kSharedMemoryVersion.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace siprof {

// The calls as the label `call` and the counters io_CALL_… name them. Those that differ in how they are
// spelled only (pread64, __read_chk, waitpid) share a name.
// clang-format off
#define SIPROF_IO_CALLS(X) \
  X(read) X(pread) X(readv) X(preadv) X(write) X(pwrite) X(writev) X(pwritev) X(recv) X(recvfrom) \
  X(recvmsg) X(recvmmsg) X(send) X(sendto) X(sendmsg) X(sendmmsg) X(sendfile) X(splice) X(tee) \
  X(vmsplice) X(copy_file_range) X(accept) X(connect) X(poll) X(select) X(epoll_wait) X(nanosleep) \
  X(pause) X(sigwait) X(fsync) X(fdatasync) X(sync_file_range) X(msync) X(wait) X(flock) \
  X(msgrcv) X(msgsnd) X(semop) X(fread) X(fwrite) X(fgets) X(fputs) X(puts) X(getline) X(printf) \
  X(fflush) X(fclose)
// clang-format on

enum class IoCall : std::uint32_t {
#define SIPROF_IO_CALL(name) k_##name,
  SIPROF_IO_CALLS(SIPROF_IO_CALL)
#undef SIPROF_IO_CALL
      kCount
};
inline constexpr std::uint32_t kIoCallCount = static_cast<std::uint32_t>(IoCall::kCount);

// Sums since the process attached. Plain adds of one thread, or locked ones of many; nothing is ordered.
struct IoCell {
  std::atomic<std::uint64_t> calls;
  std::atomic<std::uint64_t> bytes;
  std::atomic<std::uint64_t> ns;
};

inline constexpr std::uint32_t kIoBankBytes = 1536;
inline constexpr std::uint32_t kIoBankCells = 61;
struct IoBank {
  // thread id | thread serial << 32, 0: free. Claimed by compare-exchange (acquire) against the end of the
  // thread before (release). Its sums stay and are added to.
  alignas(64) std::atomic<std::uint64_t> owner;
  std::uint64_t pad[7];
  IoCell cells[kIoBankCells];
  std::uint64_t unused;
};
static_assert(sizeof(IoBank) == kIoBankBytes);
static_assert(kIoCallCount <= kIoBankCells);
inline constexpr std::uint32_t kIoBanks = 64;
inline constexpr std::uint32_t kSharedIoBank = kIoBanks - 1;  // of all threads that have none

// Of a sample of the kind.
inline constexpr std::uint32_t kIoWaitedNs = 0;    // values[kIoWaitedNs]
inline constexpr std::uint32_t kIoIntervalNs = 1;  // mean in force; 0: waits of this length always come
inline constexpr std::uint32_t kIoBytes = 2;
inline constexpr std::uint32_t kIoCallId = 3;  // an IoCall

// Its extra bytes: what the call was made on. Addresses as the kernel has them, in network order.
enum class IoTargetKind : std::uint8_t {
  kNone,  // of no descriptor, of several, or it was closed meanwhile
  kFile,
  kFolder,
  kPipe,
  kTty,
  kDevice,
  kTcp,
  kTcpListen,
  kUdp,
  kUnix,
  kSocket,  // of another family
  kEventfd,
  kTimerfd,
  kSignalfd,
  kEpoll,
  kInotify,
  kAnonymous,  // another of the kernel's own
  kCount
};
struct IoTarget {
  IoTargetKind kind;
  std::uint8_t is_ipv6;
  std::uint8_t has_peer;
  std::uint8_t pad;
  std::uint16_t local_port;  // host order, as peer_port
  std::uint16_t peer_port;
  std::uint8_t peer_address[16];
};
static_assert(sizeof(IoTarget) == 24);

}  // namespace siprof
