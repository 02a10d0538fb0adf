// SPDX-License-Identifier: Apache-2.0
// A worker that may make few system calls, and is killed for any other, as sandboxes do it: forked off and at
// once filtered by prctl ("prctl") or by seccomp(2) ("syscall"), then at work. "late": it was sampled before.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "test/preload/victims/victim.h"

namespace {

#define ALLOW(call) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

sock_filter g_filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                          ALLOW(read),
                          ALLOW(write),
                          ALLOW(exit),
                          ALLOW(exit_group),
                          ALLOW(rt_sigreturn),
                          ALLOW(futex),
                          ALLOW(brk),
                          ALLOW(mmap),
                          ALLOW(munmap),
                          ALLOW(newfstatat),
                          ALLOW(clock_gettime),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};

void install_filter(bool by_prctl) {
  sock_fprog program{std::size(g_filter), g_filter};
  victim::require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  // What libraries do to learn whether there are filters; fails, by EFAULT.
  const long probe = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, nullptr);
  printf("probe: %ld, %s\n", probe, strerror(errno));
  const long result = by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                               : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  victim::require(result == 0, "seccomp");
}

VICTIM_NOINLINE void work_in_sandbox() {
  victim::burn_ms(1500);
  asm volatile("");
}

}  // namespace

int main(int argc, char** argv) {
  const bool by_prctl = argc > 1 && strcmp(argv[1], "prctl") == 0;
  victim::burn_ms(100);
  const pid_t worker = fork();
  if (worker == 0) {
    if (argc > 2) victim::burn_ms(200);
    install_filter(by_prctl);
    work_in_sandbox();
    puts("work done");
    fflush(stdout);
    _exit(0);
  }
  // All six arguments, the last one from the stack: 3 pages from the second one of the file on.
  const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0));
  const long mapped = syscall(SYS_mmap, 0L, 3L * 4096, 1L, 2L, static_cast<long>(fd), 4096L);
  char expected[64];
  victim::require(pread(fd, expected, sizeof expected, 4096) == sizeof expected, "pread");
  printf("mapped the right page: %d\n",
         memcmp(reinterpret_cast<void*>(mapped), expected, sizeof expected) == 0);
  errno = 0;
  const long bad = syscall(SYS_close, -1L);
  printf("close: %ld, %s\n", bad, strerror(errno));
  fflush(stdout);
  int status = 0;
  waitpid(worker, &status, 0);
  printf("worker ended by signal %d with status %d\n", WTERMSIG(status), WEXITSTATUS(status));
}
