// SPDX-License-Identifier: Apache-2.0
// What calls on descriptors promise besides their bytes: results and errors, cancellation, calls from signal
// handlers, jumps out of them, forks. Prints the same with and without siprof. One MODE each.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <atomic>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

using victim::require;

// ---- results and errors

template <typename Call>
void show(const char* name, Call call) {
  errno = 7777;
  const long result = static_cast<long>(call());
  printf("%s: %ld, errno %d\n", name, result, errno);
}

void results() {
  int empty[2], full[2], closed[2], pair[2];
  char data[64] = "0123456789";
  char* bad = reinterpret_cast<char*>(16);
  asm("" : "+r"(bad));  // nobody can tell where it points to
  signal(SIGPIPE, SIG_IGN);
  require(pipe2(empty, O_NONBLOCK) == 0 && pipe2(full, O_NONBLOCK) == 0 && pipe(closed) == 0, "pipe");
  require(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0, "socketpair");
  while (write(full[1], data, sizeof data) > 0) {
  }
  close(closed[0]);
  const int file = open("/proc/self/exe", O_RDONLY);
  iovec part{data, 10};
  iovec bad_part{bad, 10};
  for (const int fd : {-1, 999, empty[0], full[1], closed[1], pair[0], file}) {
    printf("descriptor %s\n", fd == -1 ? "-1" : fd == 999 ? "999" : fd == file ? "of a file" : "open");
    show("read", [&] { return read(fd, data, 10); });
    show("read of nothing", [&] { return read(fd, data, 0); });
    show("read to nowhere", [&] { return read(fd, bad, 10); });
    show("readv", [&] { return readv(fd, &part, 1); });
    show("readv to nowhere", [&] { return readv(fd, &bad_part, 1); });
    show("pread", [&] { return pread(fd, data, 10, 3); });
    show("preadv", [&] { return preadv(fd, &part, 1, 3); });
    show("preadv2", [&] { return preadv2(fd, &part, 1, 3, 0); });
    show("write", [&] { return write(fd, data, 10); });
    show("write from nowhere", [&] { return write(fd, bad, 10); });
    show("writev", [&] { return writev(fd, &part, 1); });
    show("pwrite", [&] { return pwrite(fd, data, 10, 3); });
    show("recv", [&] { return recv(fd, data, 10, 0); });
    show("recvfrom", [&] { return recvfrom(fd, data, 10, 0, nullptr, nullptr); });
    show("recvmsg of nothing", [&] { return recvmsg(fd, nullptr, 0); });
    show("send", [&] { return send(fd, data, 1, 0); });
    show("sendmsg of nothing", [&] { return sendmsg(fd, nullptr, 0); });
    show("sendmmsg of nothing", [&] { return sendmmsg(fd, nullptr, 1, 0); });
    show("accept", [&] { return accept(fd, nullptr, nullptr); });
    show("accept4", [&] { return accept4(fd, nullptr, nullptr, 1 << 30); });
    show("connect", [&] { return connect(fd, nullptr, 0); });
    show("sync_file_range", [&] { return sync_file_range(fd, 0, 1, 0); });
    show("fsync", [&] { return fsync(fd); });
    show("fdatasync", [&] { return fdatasync(fd); });
    show("splice", [&] { return splice(fd, nullptr, fd, nullptr, 1, 0); });
    show("epoll_wait", [&] { return epoll_wait(fd, nullptr, 1, 0); });
  }
  timespec wrong{0, 2'000'000'000};
  timeval negative{-1, 0};
  show("nanosleep, wrong", [&] { return nanosleep(&wrong, nullptr); });
  show("nanosleep of nothing", [&] { return nanosleep(reinterpret_cast<timespec*>(bad), nullptr); });
  show("clock_nanosleep, wrong", [&] { return clock_nanosleep(12345, 0, &wrong, nullptr); });
  show("ppoll, wrong", [&] { return ppoll(nullptr, 0, &wrong, nullptr); });
  show("poll of nothing", [&] { return poll(reinterpret_cast<pollfd*>(bad), 1, 0); });
  show("select, wrong", [&] { return select(0, nullptr, nullptr, nullptr, &negative); });
  show("waitpid", [&] { return waitpid(-1, nullptr, 0); });
  show("wait4", [&] { return wait4(-1, nullptr, WNOHANG, nullptr); });
  show("semop", [&] { return semop(-1, nullptr, 0); });
  show("msgrcv", [&] { return msgrcv(-1, nullptr, 0, 0, 0); });
  show("msync", [&] { return msync(bad, 10, MS_SYNC); });
  show("fflush", [&] { return fflush(nullptr); });
  FILE* dev_full = fopen("/dev/full", "w");
  show("fwrite", [&] { return fwrite(data, 3, 3, dev_full); });
  show("fputs", [&] { return fputs("text", dev_full) >= 0; });
  show("fprintf", [&] { return fprintf(dev_full, "%d", 12345); });
  show("fflush of a full device", [&] { return fflush(dev_full); });
  show("fclose of a full device", [&] { return fclose(dev_full); });
  FILE* text = fopen("/proc/self/comm", "r");
  char* line = nullptr;
  size_t room = 0;
  show("getline", [&] { return getline(&line, &room, text); });
  show("getline at the end", [&] { return getline(&line, &room, text); });
  show("fgets at the end", [&] { return fgets(data, 10, text) != nullptr; });
  show("fread at the end", [&] { return fread(data, 3, 3, text); });
  char* memory = nullptr;
  FILE* stream = open_memstream(&memory, &room);
  show("fprintf to memory", [&] { return fprintf(stream, "%s %d", "text", 5); });
  show("fclose of memory", [&] { return fclose(stream); });
  printf("%s\n", memory);
}

// ---- cancellation

int g_blocking[2], g_listener = -1;
pid_t g_child = 0;

struct Point {
  const char* name;
  void (*call)();
};
char g_data[1 << 20];
iovec g_part{g_data, sizeof g_data};
msghdr g_message{};
mmsghdr g_many{};
sigset_t g_none;

const Point kPoints[] = {
    {"read", [] { (void)!read(g_blocking[0], g_data, 1); }},
    {"readv", [] { (void)!readv(g_blocking[0], &g_part, 1); }},
    {"recv", [] { recv(g_blocking[0], g_data, 1, 0); }},
    {"recvfrom", [] { recvfrom(g_blocking[0], g_data, 1, 0, nullptr, nullptr); }},
    {"recvmsg", [] { recvmsg(g_blocking[0], &g_message, 0); }},
    {"recvmmsg", [] { recvmmsg(g_blocking[0], &g_many, 1, 0, nullptr); }},
    {"write", [] { (void)!write(g_blocking[0], g_data, sizeof g_data); }},
    {"writev", [] { (void)!writev(g_blocking[0], &g_part, 1); }},
    {"send", [] { send(g_blocking[0], g_data, sizeof g_data, 0); }},
    {"sendto", [] { sendto(g_blocking[0], g_data, sizeof g_data, 0, nullptr, 0); }},
    {"sendmsg", [] { sendmsg(g_blocking[0], &g_message, 0); }},
    {"accept", [] { accept(g_listener, nullptr, nullptr); }},
    {"accept4", [] { accept4(g_listener, nullptr, nullptr, 0); }},
    {"poll", [] { poll(nullptr, 0, -1); }},
    {"ppoll", [] { ppoll(nullptr, 0, nullptr, nullptr); }},
    {"select", [] { select(0, nullptr, nullptr, nullptr, nullptr); }},
    {"pselect", [] { pselect(0, nullptr, nullptr, nullptr, nullptr, nullptr); }},
    {"epoll_wait",
     [] {
       epoll_event event;
       epoll_wait(epoll_create1(0), &event, 1, -1);
     }},
    {"nanosleep",
     [] {
       const timespec time{100, 0};
       nanosleep(&time, nullptr);
     }},
    {"clock_nanosleep",
     [] {
       const timespec time{100, 0};
       clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
     }},
    {"sleep", [] { sleep(100); }},
    {"usleep", [] { usleep(100'000'000); }},
    {"pause", [] { pause(); }},
    {"sigsuspend", [] { sigsuspend(&g_none); }},
    {"waitpid", [] { waitpid(g_child, nullptr, 0); }},
    {"wait4", [] { wait4(g_child, nullptr, 0, nullptr); }},
    {"waitid",
     [] {
       siginfo_t info;
       waitid(P_PID, static_cast<id_t>(g_child), &info, WEXITED);
     }},
    {"msgrcv", [] { msgrcv(msgget(0x51708, 0), g_data, 8, 0, 0); }},
    {"fread",
     [] {
       FILE* stream = fdopen(dup(g_blocking[0]), "r");
       (void)!fread(g_data, 1, 10, stream);
     }},
};

void* block(void* argument) {
  const auto* point = static_cast<const Point*>(argument);
  pthread_cleanup_push([](void* name) { printf("%s: cleaned up, ", static_cast<const char*>(name)); },
                       const_cast<char*>(point->name));
  point->call();
  printf("%s: came back, errno %d, ", point->name, errno);
  pthread_cleanup_pop(0);
  return nullptr;
}

void cancel() {
  sigemptyset(&g_none);
  g_message.msg_iov = &g_part;
  g_message.msg_iovlen = 1;
  g_many.msg_hdr = g_message;
  g_listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sa_family_t family = AF_UNIX;
  require(bind(g_listener, reinterpret_cast<sockaddr*>(&family), sizeof family) == 0 &&
              listen(g_listener, 1) == 0 && msgget(0x51708, IPC_CREAT | 0600) >= 0,
          "bind");
  g_child = fork();
  if (g_child == 0) {
    for (;;) pause();
  }
  for (const Point& point : kPoints) {
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, g_blocking) == 0, "socketpair");
    if (strncmp(point.name, "write", 5) == 0 || strncmp(point.name, "send", 4) == 0) {
      while (send(g_blocking[0], g_data, 4096, MSG_DONTWAIT) > 0) {
      }
    }
    pthread_t thread;
    void* result = nullptr;
    require(pthread_create(&thread, nullptr, block, const_cast<Point*>(&point)) == 0, "pthread_create");
    usleep(10'000);
    victim::burn_ms(2);
    require(pthread_cancel(thread) == 0, "pthread_cancel");
    pthread_join(thread, &result);
    puts(result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
    close(g_blocking[0]);
    close(g_blocking[1]);
  }
  kill(g_child, SIGKILL);
  waitpid(g_child, nullptr, 0);
  msgctl(msgget(0x51708, 0), IPC_RMID, nullptr);
}

// ---- handlers

int g_file = -1;
std::atomic<int> g_from_handler{0};
sigjmp_buf g_jump;
int g_turn = 0, g_jumped = 0;

void write_one(int) {
  const int error = errno;
  if (write(g_file, "h", 1) == 1) ++g_from_handler;
  errno = error;
}
void jump(int) {
  siglongjmp(g_jump, 1);
}

int open_data() {
  char path[256];
  snprintf(path, sizeof path, "%s/io_contract.data", getenv("VICTIM_FOLDER"));
  return open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

// The handler writes while main does, ten thousand times a second.
void handler() {
  g_file = open_data();
  struct sigaction action {};
  action.sa_handler = write_one;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval often{{0, 100}, {0, 100}};
  setitimer(ITIMER_REAL, &often, nullptr);
  int written = 0;
  const int64_t end = victim::clock_ns(CLOCK_MONOTONIC) + 1'500'000'000;
  while (victim::clock_ns(CLOCK_MONOTONIC) < end) {
    errno = 0;
    if (write(g_file, "m", 1) != 1 || errno != 0) printf("write: errno %d\n", errno);
    ++written;
  }
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  printf("as many bytes as writes: %d\n", lseek(g_file, 0, SEEK_END) == written + g_from_handler);
  victim::note_fact("writes", written + g_from_handler);
  victim::note_fact("from_handler", g_from_handler);
}

// Out of blocking reads and sleeps, a thousand times; then a read still waits and is seen.
void jumps() {
  int fds[2];
  char byte;
  require(pipe(fds) == 0, "pipe");
  struct sigaction action {};
  action.sa_handler = jump;
  sigaction(SIGALRM, &action, nullptr);
  for (g_turn = 0; g_turn < 1000; ++g_turn) {
    const int i = g_turn;
    if (sigsetjmp(g_jump, 1) != 0) {
      ++g_jumped;
      continue;
    }
    const itimerval soon{{0, 0}, {0, 200 + (i * 7) % 300}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    if (i % 2 == 0)
      (void)!read(fds[0], &byte, 1);
    else
      usleep(1'000'000);
  }
  printf("%d jumps\n", g_jumped);
  victim::burn_ms(50);
  pollfd one{fds[0], POLLIN, 0};
  const int64_t begin = victim::clock_ns(CLOCK_MONOTONIC);
  printf("poll %d\n", poll(&one, 1, 100));
  victim::note_fact("poll_ns", victim::clock_ns(CLOCK_MONOTONIC) - begin);
}

// ---- children

void forks() {
  g_file = open_data();
  victim::burn_ms(60);
  for (int i = 0; i < 1000; ++i) require(write(g_file, "p", 1) == 1, "write");
  for (int child = 0; child < 4; ++child) {
    const pid_t pid = fork();
    if (pid == 0) {
      for (int i = 0; i < 500; ++i) require(write(g_file, "c", 1) == 1, "write");
      victim::burn_ms(300);
      for (int i = 0; i < 500; ++i) require(write(g_file, "c", 1) == 1, "write");
      _exit(0);
    }
    waitpid(pid, nullptr, 0);
  }
  for (int i = 0; i < 1000; ++i) require(write(g_file, "p", 1) == 1, "write");
  printf("%ld bytes\n", static_cast<long>(lseek(g_file, 0, SEEK_END)));
}

// More threads than there are banks, and more of them after those have ended.
void threads() {
  g_file = open_data();
  victim::burn_ms(60);
  for (int round = 0; round < 3; ++round) {
    pthread_t all[100];
    for (pthread_t& thread : all) {
      const auto run = [](void*) -> void* {
        for (int i = 0; i < 200; ++i) require(write(g_file, "t", 1) == 1, "write");
        return nullptr;
      };
      require(pthread_create(&thread, nullptr, run, nullptr) == 0, "pthread_create");
    }
    for (const pthread_t thread : all) pthread_join(thread, nullptr);
  }
  printf("%ld bytes\n", static_cast<long>(lseek(g_file, 0, SEEK_END)));
}

}  // namespace

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)();
  } modes[] = {{"results", results}, {"cancel", cancel}, {"handler", handler},
               {"jumps", jumps},     {"forks", forks},   {"threads", threads}};
  for (const auto& mode : modes) {
    if (argc != 2 || strcmp(argv[1], mode.name) != 0) continue;
    victim::burn_ms(60);
    mode.run();
    return 0;
  }
  return 2;
}
