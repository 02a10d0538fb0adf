// SPDX-License-Identifier: Apache-2.0
// The agent is a grandchild in a session of its own: the app never sees it, and it
// keeps nothing of the app but the descriptor it is handed.
#include "shim/core/agent_start.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "shim/base/arch.h"
#include "shim/base/sys.h"
#include "shim/core/config.h"
#include "shim/core/middle.h"
#include "shim/core/signal.h"

namespace siprof::shim {
namespace {

constexpr std::uint64_t kExecStackBytes = 24 * 1024;
constexpr int kAttachFd = 3;  // what the agent is told with --attach-fd
constexpr std::uint32_t kMaxVariables = 256;

struct ExecRequest {
  int socket_fd;
  std::int32_t app_pid;
  void* stack;  // what the attach child runs on; the request is on it
  const AgentAddresses* addresses;
  char candidates[4][512];
  int candidate_count;
  bool executed;  // stays true when exec never returned
};

// The file this library was loaded from says where the agent is. The loader's own name
// for it may be relative to a folder that the app has left.
SIPROF_SIGNAL_SAFE void find_programs(const MapsText& maps, ExecRequest* request) {
  if (const char* named = captured("SIPROF_AGENT_PROGRAM")) {
    TextBuffer(request->candidates[request->candidate_count++], sizeof(request->candidates[0])).add(named);
    return;
  }
  char folder[512];
  if (!path_at(maps, reinterpret_cast<std::uint64_t>(&find_programs), folder, sizeof(folder))) return;
  std::size_t cut = length(folder);
  while (cut > 0 && folder[cut] != '/') --cut;
  folder[cut] = '\0';
  const char* suffixes[] = {"/siprof", "/../bin/siprof", "/../../bin/siprof", "/../collector-client/siprof"};
  for (const char* suffix : suffixes) {
    TextBuffer(request->candidates[request->candidate_count++], sizeof(request->candidates[0]))
        .add(folder)
        .add(suffix);
  }
}

// exec resets handlers to the default but keeps what is ignored.
SIPROF_SIGNAL_SAFE void reset_signals() {
  for (int signal = 1; signal <= 64; ++signal) {
    KernelAction plain{};
    sys::call(SYS_rt_sigaction, signal, &plain, nullptr, sizeof(sys::SignalSet));
  }
  const sys::SignalSet none = 0;
  sys::change_mask(SIG_SETMASK, &none, nullptr);
}

// Only the given descriptor stays, as kAttachFd, and 0 to 2 lead nowhere. First the one
// that counts: it may be any of them.
SIPROF_SIGNAL_SAFE void keep_only(int socket_fd) {
  if (socket_fd != kAttachFd) {
    sys::call(SYS_dup3, socket_fd, kAttachFd, 0);
  } else {
    sys::call(SYS_fcntl, kAttachFd, F_SETFD, 0);
  }
  for (int fd = 0; fd < 3; ++fd) sys::call(SYS_close, fd);
  // The lowest free numbers are these.
  for (int fd = 0; fd < 3; ++fd) sys::call(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
  constexpr int kCloseRange = 436;  // since Linux 5.9
  if (sys::call(kCloseRange, kAttachFd + 1, ~0u, 0) == 0) return;
  for (int fd = kAttachFd + 1; fd < 65536; ++fd) sys::call(SYS_close, fd);
}

SIPROF_SIGNAL_SAFE int exec_agent(void* argument) {
  auto* request = static_cast<ExecRequest*>(argument);
  sys::call(SYS_setsid);
  keep_only(request->socket_fd);
  sys::call(SYS_chdir, "/");
  sys::call(SYS_umask, 077);
  reset_signals();
  // Nothing of the loader's: the agent and what it starts are never profiled.
  const char* variables[kMaxVariables];
  std::uint32_t count = 0;
  const char* end = g_config.environment + g_config.environment_bytes;
  for (const char* at = g_config.environment; at < end && count + 1 < kMaxVariables; at += length(at) + 1) {
    variables[count++] = at;
  }
  variables[count] = nullptr;
  const char* argv[] = {"siprof",
                        "agent",
                        "--spawned",
                        "--attach-fd",
                        "3",
                        "--abstract",
                        request->addresses->abstract_name,
                        "--agent-socket",
                        request->addresses->path,
                        nullptr};
  for (int i = 0; i < request->candidate_count; ++i) {
    sys::call(SYS_execve, request->candidates[i], argv, variables);
  }
  request->executed = false;  // seen by the parent: the memory is shared
  return 127;
}

SIPROF_SIGNAL_SAFE bool exec_in_child(ExecRequest* request) {
  // On the caller's stack, below everything it uses: the caller waits (VFORK).
  alignas(16) char stack[kExecStackBytes];
  request->executed = true;
  const long child =
      siprof_clone(CLONE_VM | CLONE_VFORK | CLONE_UNTRACED, stack + sizeof(stack), exec_agent, request);
  return child > 0 && request->executed;
}

// An app that is pid 1 or a subreaper would inherit the agent and see it in wait(2): this
// process stays between them (middle.h).
SIPROF_SIGNAL_SAFE int run_middle(void* argument) {
  auto* request = static_cast<ExecRequest*>(argument);
  forget_app(request->stack, kAttachStackBytes);
  sys::call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  sys::call(SYS_prctl, PR_SET_NAME, "siprof-middle", 0, 0, 0);
  sys::call(SYS_setsid);
  keep_only(request->socket_fd);
  request->socket_fd = kAttachFd;
  exec_in_child(request);
  sys::call(SYS_close, kAttachFd);
  sys::call(SYS_chdir, "/");
  outlive_app(request->app_pid);
  return 0;
}

}  // namespace

void find_addresses(std::uint32_t user_id, AgentAddresses* out) {
  out->abstract_name[0] = '\0';
  out->has_abstract = false;
  if (const char* named = captured("SIPROF_AGENT_SOCKET")) {
    TextBuffer(out->path, sizeof(out->path)).add(named);
    return;
  }
  TextBuffer name(out->abstract_name, sizeof(out->abstract_name));
  name.add("siprof-").add_number(user_id).add("-").add_number(g_config.agent_hash, 16);
  out->has_abstract = true;

  TextBuffer path(out->path, sizeof(out->path));
  const char* state = captured("XDG_STATE_HOME");
  const char* home = captured("HOME");
  // The captured folders are the user's who started the program.
  const bool own_folders = user_id == g_config.user_id;
  if (own_folders && state != nullptr && *state == '/') {
    path.add(state).add("/siprof");
  } else if (own_folders && home != nullptr && *home == '/') {
    path.add(home).add("/.local/state/siprof");
  } else {
    path.add("/tmp/siprof-").add_number(user_id);
  }
  path.add("/agent-").add_number(g_config.agent_hash, 16).add(".sock");
  if (!path.overflowed()) return;
  // Too long for a socket's name.
  path.resize(0);
  path.add("/tmp/siprof-")
      .add_number(user_id)
      .add("/agent-")
      .add_number(g_config.agent_hash, 16)
      .add(".sock");
}

void to_abstract(const char* name, AgentAddress* out) {
  zero_bytes(out, sizeof(*out));
  out->address.sun_family = AF_UNIX;
  const std::size_t bytes = length(name);
  copy_bytes(out->address.sun_path + 1, name, bytes);
  out->bytes = static_cast<socklen_t>(sizeof(sa_family_t) + 1 + bytes);
}

void to_path(const char* path, AgentAddress* out) {
  zero_bytes(out, sizeof(*out));
  out->address.sun_family = AF_UNIX;
  TextBuffer(out->address.sun_path, sizeof(out->address.sun_path)).add(path);
  out->bytes = sizeof(sockaddr_un);
}

bool start_agent(AttachRequest* request, const MapsText& maps, int socket_fd,
                 const AgentAddresses& addresses) {
  ExecRequest exec{};
  exec.socket_fd = socket_fd;
  exec.app_pid = request->pid;
  exec.stack = request;
  exec.addresses = &addresses;
  find_programs(maps, &exec);
  if (exec.candidate_count == 0) return false;
  if (!request->stays_reaper) return exec_in_child(&exec);
  // CLONE_PARENT: a child of the app itself, with our exit signal, 0.
  alignas(16) char stack[kExecStackBytes * 2];
  const long middle = siprof_clone(CLONE_PARENT | CLONE_UNTRACED, stack + sizeof(stack), run_middle, &exec);
  if (middle <= 0) return false;
  request->middle_pid = static_cast<std::int32_t>(middle);
  return true;
}

}  // namespace siprof::shim
