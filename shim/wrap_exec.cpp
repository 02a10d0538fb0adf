// SPDX-License-Identifier: Apache-2.0
// Wrappers of exec and spawn: what the app believes is blocked and ignored is so in
// the kernel while the new program is made. Between vfork and exec they run in the
// child, with the parent's memory: what they change is the kernel's alone.
#include <alloca.h>
#include <errno.h>
#include <stdarg.h>

#include "shim/core/attach.h"
#include "shim/core/exec_view.h"
#include "shim/real.h"

using namespace siprof;
using siprof::shim::AppViewForExec;
using siprof::shim::attach_before_fork;

extern "C" char** environ;

int siprof_execve(const char* path, char* const* argv, char* const* envp) {
  const AppViewForExec view;
  return real::execve(path, argv, envp);
}
int siprof_execv(const char* path, char* const* argv) {
  const AppViewForExec view;
  return real::execv(path, argv);
}
int siprof_execvp(const char* file, char* const* argv) {
  const AppViewForExec view;
  return real::execvp(file, argv);
}
int siprof_execvpe(const char* file, char* const* argv, char* const* envp) {
  const AppViewForExec view;
  return real::execvpe(file, argv, envp);
}
int siprof_fexecve(int fd, char* const* argv, char* const* envp) {
  const AppViewForExec view;
  return real::fexecve(fd, argv, envp);
}
int siprof_execveat(int dirfd, const char* path, char* const* argv, char* const* envp, int flags) {
  const AppViewForExec view;
  if (real::execveat.get() != nullptr) return real::execveat(dirfd, path, argv, envp, flags);
  errno = ENOSYS;  // older libc: the app's own probe of it would have failed as well
  return -1;
}

// Counts the list's arguments (the first one included, the null not), as libc's own
// execl does, to put them on the stack: the heap is not for use after vfork.
#define SIPROF_COLLECT_ARGUMENTS(first, argv, list)                                \
  va_list list;                                                                    \
  va_start(list, first);                                                           \
  unsigned long argument_count = (first) != nullptr ? 1 : 0;                       \
  while (argument_count != 0 && va_arg(list, char*) != nullptr) ++argument_count;  \
  va_end(list);                                                                    \
  auto** argv = static_cast<char**>(alloca((argument_count + 1) * sizeof(char*))); \
  va_start(list, first);                                                           \
  argv[0] = const_cast<char*>(first);                                              \
  for (unsigned long i = 1; i <= argument_count; ++i) argv[i] = va_arg(list, char*)

int siprof_execl(const char* path, const char* first, ...) {
  SIPROF_COLLECT_ARGUMENTS(first, argv, list);
  va_end(list);
  const AppViewForExec view;
  return real::execv(path, argv);
}
int siprof_execlp(const char* file, const char* first, ...) {
  SIPROF_COLLECT_ARGUMENTS(first, argv, list);
  va_end(list);
  const AppViewForExec view;
  return real::execvp(file, argv);
}
int siprof_execle(const char* path, const char* first, ...) {
  SIPROF_COLLECT_ARGUMENTS(first, argv, list);
  char* const* envp = va_arg(list, char* const*);
  va_end(list);
  const AppViewForExec view;
  return real::execve(path, argv, envp);
}

int siprof_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                       const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  attach_before_fork();
  const AppViewForExec view;
  return real::posix_spawn(pid, path, actions, attributes, argv, envp);
}
int siprof_posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                        const posix_spawnattr_t* attributes, char* const* argv, char* const* envp) {
  attach_before_fork();
  const AppViewForExec view;
  return real::posix_spawnp(pid, file, actions, attributes, argv, envp);
}
int siprof_system(const char* command) {
  attach_before_fork();
  const AppViewForExec view;
  return real::system(command);
}
FILE* siprof_popen(const char* command, const char* mode) {
  attach_before_fork();
  const AppViewForExec view;
  return real::popen(command, mode);
}
