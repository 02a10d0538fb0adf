// SPDX-License-Identifier: Apache-2.0
// Gives up rights after it has been sampled for a while, as servers do, in the way named on the command
// line; the samples have to go on. Ways that need root say so by status 77.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cerrno>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

bool drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2]{};
  return syscall(SYS_capset, &header, none) == 0;
}

// An empty file system for root, as container runtimes make it; the old one is out of reach afterwards.
bool pivot() {
  return unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         (mkdir("new", 0755) == 0 || errno == EEXIST) && mount("none", "new", "tmpfs", 0, nullptr) == 0 &&
         chdir("new") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
         chdir("/") == 0;
}

// What comes first into a new pid namespace is its pid 1: that must be our child, not one of siprof's.
void print_child_pid() {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    printf("the first child is pid %d\n", getpid());
    exit(0);
  }
  victim::require(waitpid(child, nullptr, 0) == child, "waitpid");
}

bool drop(const char* way) {
  if (strcmp(way, "chroot") == 0)
    return (mkdir("empty", 0755) == 0 || errno == EEXIST) && chroot("empty") == 0 && chdir("/") == 0;
  if (strcmp(way, "setuid") == 0)
    return setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0;
  if (strcmp(way, "unshare_user") == 0) return unshare(CLONE_NEWUSER) == 0;
  if (strcmp(way, "unshare_mount") == 0) return unshare(CLONE_NEWNS) == 0;
  if (strcmp(way, "unshare_net") == 0) return unshare(CLONE_NEWNET) == 0;
  if (strcmp(way, "unshare_pid") == 0) return unshare(CLONE_NEWPID) == 0;
  if (strcmp(way, "capset") == 0) return drop_capabilities();
  if (strcmp(way, "pivot_root") == 0) return pivot();
  if (strcmp(way, "dumpable") == 0) return prctl(PR_SET_DUMPABLE, 0) == 0;
  if (strcmp(way, "no_new_privs") == 0) return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  return false;
}

VICTIM_NOINLINE void after_drop(int ms) {
  victim::burn_ms(ms);
  asm volatile("");
}

}  // namespace

int main(int argc, char** argv) {
  const char* way = argc > 1 ? argv[1] : "dumpable";
  // "fresh": nothing has been sampled when the rights are dropped, so the attach itself meets the new state.
  const bool fresh = argc > 2 && strcmp(argv[2], "fresh") == 0;
  if (chdir(getenv("VICTIM_FOLDER")) != 0) victim::give_up("chdir");
  if (!fresh) victim::burn_ms(300);
  if (!drop(way)) {
    perror(way);
    return 77;
  }
  after_drop(1000);
  if (strcmp(way, "unshare_pid") == 0) print_child_pid();
  printf("%s done\n", way);
}
