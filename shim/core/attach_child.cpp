// SPDX-License-Identifier: Apache-2.0
#include "shim/core/attach_child.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "proto/siprof/handshake.h"
#include "shim/base/sys.h"
#include "shim/base/text.h"
#include "shim/core/agent_start.h"
#include "shim/core/child.h"
#include "shim/core/code_map.h"
#include "shim/core/config.h"
#include "shim/core/first_code_map.h"
#include "shim/core/handover.h"
#include "shim/core/process.h"
#include "shim/core/python_view.h"
#include "shim/core/timer.h"
#include "shim/core/unmaps.h"

namespace siprof::shim {
namespace {

constexpr std::uint64_t kStartGraceNs = 6'000'000'000;

// How many chunks may be reserved: an eighth of the address space that is left.
SIPROF_SIGNAL_SAFE std::uint32_t chunks_within_limits() {
  rlimit64 limit{};
  if (sys::call(SYS_prlimit64, 0, RLIMIT_AS, nullptr, &limit) != 0 || limit.rlim_cur == RLIM64_INFINITY)
    return kMaxChunks;
  std::uint64_t used_pages = 0;
  char text[64] = {};
  const long fd = sys::call(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
  if (fd >= 0 && sys::call(SYS_read, fd, text, sizeof(text) - 1) > 0) {
    for (const char* at = text; *at >= '0' && *at <= '9'; ++at)
      used_pages = used_pages * 10 + static_cast<std::uint64_t>(*at - '0');
  }
  const std::uint64_t left = limit.rlim_cur > used_pages * 4096 ? limit.rlim_cur - used_pages * 4096 : 0;
  const std::uint64_t chunks = left / 8 / kChunkBytes;
  return chunks < kMaxChunks ? static_cast<std::uint32_t>(chunks) : kMaxChunks;
}

// A sealed file of that many chunks, with pages: a hole could not be filled under a strict
// memory limit, and the app would get SIGBUS in the middle of a store.
SIPROF_SIGNAL_SAFE long make_memory(std::uint32_t chunks) {
  const std::uint64_t bytes = kSharedHeaderBytes + std::uint64_t{chunks} * kChunkBytes;
  const long fd = sys::call(SYS_memfd_create, "siprof", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (sys::failed(fd)) return fd;
  // This process's limit, not the app's. SIGXFSZ is blocked like all signals.
  rlimit64 size{};
  if (sys::call(SYS_prlimit64, 0, RLIMIT_FSIZE, nullptr, &size) == 0 && size.rlim_cur < bytes) {
    size.rlim_cur = size.rlim_max;
    sys::call(SYS_prlimit64, 0, RLIMIT_FSIZE, &size, nullptr);
  }
  long result = sys::call(SYS_ftruncate, fd, bytes);
  if (!sys::failed(result)) result = sys::call(SYS_fallocate, fd, 0, 0, bytes);
  if (!sys::failed(result)) result = sys::call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK);
  if (!sys::failed(result)) return fd;
  sys::call(SYS_close, fd);
  return result;
}

// The file as far as the mapping, without pages: a thread may be about to write to a chunk
// by which the agent has just made the memory before larger, and beyond the end of a file
// is SIGBUS for sure. Where a hard limit forbids it there is that risk.
SIPROF_SIGNAL_SAFE void extend_to_mapping(const AttachRequest& request, long fd) {
  sys::call(SYS_ftruncate, fd, kSharedHeaderBytes + std::uint64_t{request.max_chunks} * kChunkBytes);
}

// Maps the file in the place of the earlier attachment's (in one step, whoever reads or
// writes there meanwhile), or anywhere.
SIPROF_SIGNAL_SAFE bool map_memory(AttachRequest* request, long fd, bool again) {
  const std::uint64_t bytes = kSharedHeaderBytes + std::uint64_t{request->max_chunks} * kChunkBytes;
  const int flags = MAP_SHARED | MAP_NORESERVE | (again ? MAP_FIXED : 0);
  if (again) extend_to_mapping(*request, fd);
  const long at = sys::call(SYS_mmap, request->mapping, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (sys::failed(at)) return false;
  // The app may have asked to have everything locked; this isn't the app's. Its core
  // dumps needn't hold it either.
  sys::call(SYS_munlock, at, bytes);
  sys::call(SYS_madvise, at, bytes, MADV_DONTDUMP);
  // Not before: mapping it under mlockall would give pages to all of it.
  if (!again) extend_to_mapping(*request, fd);
  request->mapping = reinterpret_cast<void*>(at);
  return true;
}

// The address space is the app's: nothing stays there of an attempt that failed.
SIPROF_SIGNAL_SAFE void forget_memory(AttachRequest* request) {
  sys::call(SYS_munmap, request->mapping,
            kSharedHeaderBytes + std::uint64_t{request->max_chunks} * kChunkBytes);
  request->mapping = nullptr;
}

// Into the file: what is mapped may still be the memory before.
SIPROF_SIGNAL_SAFE bool write_header(const AttachRequest& request, long fd) {
  alignas(SharedHeader) char bytes[sizeof(SharedHeader)];
  zero_bytes(bytes, sizeof(bytes));
  auto* header = reinterpret_cast<SharedHeader*>(bytes);
  header->magic = kSharedMemoryMagic;
  header->version = kSharedMemoryVersion;
  header->max_chunks = request.max_chunks;
  header->app_pid = request.pid;
  header->session = request.session;
  // An agent has to start first, perhaps on a machine under load.
  header->heartbeat_ns.store(request.now_ns + kStartGraceNs, std::memory_order_relaxed);
  header->unsettled_ticks = request.unsettled_ticks;
  header->maps_generation = request.maps_generation;
  show_unmaps(header);
  show_inherited_python(header);
  header->hz.store(g_config.rates.hz, std::memory_order_relaxed);
  header->kinds.store(g_config.rates.kinds, std::memory_order_relaxed);
  header->heap_interval_bytes.store(g_config.rates.heap_interval_bytes, std::memory_order_relaxed);
  header->block_interval_ns.store(g_config.rates.block_interval_ns, std::memory_order_relaxed);
  header->error_interval.store(g_config.rates.error_interval, std::memory_order_relaxed);
  const std::uint32_t chunks = request.max_chunks < request.chunks ? request.max_chunks : request.chunks;
  header->chunk_count.store(chunks, std::memory_order_relaxed);  // seen by nobody before it is sent or mapped
  return sys::call(SYS_pwrite64, fd, bytes, sizeof(bytes), 0) == sizeof(bytes);
}

SIPROF_SIGNAL_SAFE bool is_trusted(int fd) {
  if (g_config.explicit_socket) return true;  // the user said whom to join
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (sys::call(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return false;
  const auto own = static_cast<std::uint32_t>(sys::call(SYS_geteuid));
  return peer.uid == own || peer.uid == g_config.user_id || peer.uid == 0;
}

// Never waits: a full backlog is a failure to try again later.
SIPROF_SIGNAL_SAFE int connect_to(const AgentAddress& address, AttachStep* why) {
  const long fd = sys::call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (sys::call(SYS_connect, fd, &address.address, address.bytes) == 0) {
    if (is_trusted(static_cast<int>(fd))) return static_cast<int>(fd);
    *why = AttachStep::kRefused;
  }
  sys::call(SYS_close, fd);
  return -1;
}

SIPROF_SIGNAL_SAFE int connect_to_any(const AgentAddresses& addresses, AttachStep* why) {
  AgentAddress address;
  if (addresses.has_abstract) {
    to_abstract(addresses.abstract_name, &address);
    const int fd = connect_to(address, why);
    if (fd >= 0) return fd;
  }
  if (addresses.path[0] == '@') {
    to_abstract(addresses.path + 1, &address);
  } else {
    to_path(addresses.path, &address);
  }
  return connect_to(address, why);
}

SIPROF_SIGNAL_SAFE bool send_message(int socket_fd, const AttachRequest& request, const Handover& handover) {
  char exe[1024];
  const long exe_bytes = sys::call(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", exe, sizeof(exe) - 1);
  exe[exe_bytes > 0 ? exe_bytes : 0] = '\0';
  AttachMessage message{};
  message.magic = kAttachMagic;
  message.version = kHandshakeVersion;
  message.descriptors = handover.descriptors;
  message.pid = request.pid;
  message.uid = static_cast<std::uint32_t>(sys::call(SYS_geteuid));
  message.rates = g_config.rates;
  message.maps_are_live = handover.maps_are_live ? 1 : 0;
  message.session = request.session;
  message.start_ns = g_config.start_ns;
  message.attached_before = request.attached_before ? 1 : 0;
  copy_bytes(message.secret, g_process.secret, kSecretBytes);
  message.exe_bytes = static_cast<std::uint32_t>(length(exe) + 1);
  message.argv_bytes = static_cast<std::uint32_t>(g_config.argv_bytes);
  message.environment_bytes = static_cast<std::uint32_t>(g_config.environment_bytes);
  message.maps_bytes = static_cast<std::uint32_t>(handover.maps.bytes);

  iovec parts[] = {{&message, sizeof(message)},
                   {exe, message.exe_bytes},
                   {g_config.argv, g_config.argv_bytes},
                   {g_config.environment, g_config.environment_bytes},
                   {handover.maps.text, handover.maps.bytes}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(handover.fds))] = {};
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = 5;
  header.msg_control = control;
  const auto fd_bytes = static_cast<std::size_t>(handover.fd_count) * sizeof(int);
  header.msg_controllen = CMSG_SPACE(fd_bytes);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fd_bytes);
  copy_bytes(CMSG_DATA(rights), handover.fds, fd_bytes);
  return sys::call(SYS_sendmsg, socket_fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

// Made once in a process and inherited by those it forks: knowing it, they may join
// its agent after they have become another user.
SIPROF_SIGNAL_SAFE void make_secret() {
  if (g_process.has_secret) return;
  constexpr int kGetrandom = 318;
  const long got = sys::call(kGetrandom, g_process.secret, kSecretBytes, 1 /*GRND_NONBLOCK*/);
  g_process.has_secret = got == kSecretBytes;
}

SIPROF_SIGNAL_SAFE AttachStep hand_over(AttachRequest* request, const Handover& handover) {
  const auto user = static_cast<std::uint32_t>(sys::call(SYS_geteuid));
  AgentAddresses addresses;
  find_addresses(request->use_inherited_agent ? g_config.user_id : user, &addresses);
  AttachStep why = AttachStep::kAgent;
  const int fd = connect_to_any(addresses, &why);
  if (fd >= 0 && request->is_first)
    write_first_code_map(static_cast<SharedHeader*>(request->mapping), handover.maps,
                         request->maps_generation, fd);
  if (fd >= 0) return send_message(fd, *request, handover) ? AttachStep::kDone : AttachStep::kAgent;
  if (why == AttachStep::kRefused || g_config.explicit_socket || !request->may_start_agent) return why;

  // Another user's agent can't be started by us, only our own.
  if (request->use_inherited_agent && user != g_config.user_id) {
    find_addresses(user, &addresses);
    const int own = connect_to_any(addresses, &why);
    if (own >= 0) return send_message(own, *request, handover) ? AttachStep::kDone : AttachStep::kAgent;
  }
  int pair[2];
  if (sys::call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return AttachStep::kAgent;
  if (!send_message(pair[0], *request, handover)) return AttachStep::kAgent;
  return start_agent(request, handover.maps, pair[1], addresses) ? AttachStep::kDone : AttachStep::kAgent;
}

}  // namespace

int run_attach_child(void* argument) {
  auto* request = static_cast<AttachRequest*>(argument);
  request->step = AttachStep::kMemory;
  // Memory that the app has already stays in its place until there is an agent for the new.
  const bool again = request->mapping != nullptr;
  if (!again) request->max_chunks = chunks_within_limits();
  if (request->max_chunks == 0) return kChildRan;
  Handover handover{};
  request->maps_generation = unmap_generation();
  handover.maps = read_executable_maps(request->maps, sizeof(request->maps), request->headers);
  if (unmap_generation() != request->maps_generation) request->maps_generation = kUnmapping;
  const long fd = make_memory(request->chunks);
  if (sys::failed(fd) || !write_header(*request, fd)) return kChildRan;
  take_over_code_map(static_cast<const SharedHeader*>(request->mapping), fd);
  request->is_first = !again;
  if (!again && !map_memory(request, fd, again)) return kChildRan;
  make_secret();
  open_all(fd, &handover);
  if (!root_is_trusted(handover)) request->may_start_agent = false;
  request->step = hand_over(request, handover);
  const bool done = request->step == AttachStep::kDone;
  if (!again && !done) forget_memory(request);
  if (again && done && !map_memory(request, fd, again)) request->step = AttachStep::kMemory;
  if (!done) return kChildRan;
  scan_threads(handover, request);
  return kChildRan;
}

}  // namespace siprof::shim
