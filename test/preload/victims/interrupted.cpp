// SPDX-License-Identifier: Apache-2.0
// Every call that a signal ends for good (signal(7)), on a thread that gets siprof's own tick a thousand
// times a second while it is blocked, which a CPU timer does on old kernels alone: another thread sends it
// the very signal that the timer sends. Prints what each call did; without siprof there are no ticks. The
// app's own alarm ends each call exactly once.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

#include <atomic>
#include <cmath>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

using victim::require;

// Below 64 of the slowest jiffies: sockets count longer limits in steps of eight.
constexpr int64_t kMs = 120;
constexpr timespec kLimit{0, kMs * 1'000'000};

// As the kernel takes it: siprof answers sigaction() as if its own handler weren't there.
struct KernelAction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};
KernelAction g_siprof{};
siginfo_t g_tick{};
volatile sig_atomic_t g_seen = 0;

void kernel_action(const KernelAction* set, KernelAction* old) {
  require(syscall(SYS_rt_sigaction, SIGPROF, set, old, sizeof g_siprof.mask) == 0, "rt_sigaction");
}
void note_tick(int signal, siginfo_t* info, void* context) {
  if (info->si_code == SI_TIMER && g_seen == 0) {
    g_tick = *info;
    g_tick.si_overrun = 0;
    g_seen = 1;
  }
  g_siprof.handler(signal, info, context);
}

std::atomic<bool> g_stop{false};
std::atomic<int64_t> g_sent{0};
pid_t g_main = 0;

void* send_ticks(void*) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  while (!g_stop) {
    const timespec pause{0, 950'000};
    syscall(SYS_nanosleep, &pause, nullptr);
    g_sent += syscall(SYS_rt_tgsigqueueinfo, getpid(), g_main, SIGPROF, &g_tick) == 0;
  }
  return nullptr;
}

// Whether there are ticks, and what they look like.
bool learn_tick() {
  kernel_action(nullptr, &g_siprof);
  if (reinterpret_cast<uintptr_t>(g_siprof.handler) < 2) return false;
  victim::burn_ms(50);
  KernelAction watching = g_siprof;
  watching.handler = note_tick;
  kernel_action(&watching, nullptr);
  for (int i = 0; i < 100 && g_seen == 0; ++i) victim::burn_ms(10);
  kernel_action(&g_siprof, nullptr);
  require(g_seen != 0, "no tick came");
  return true;
}

volatile sig_atomic_t g_alarms = 0;
void count_alarm(int) {
  g_alarms = g_alarms + 1;
}
void set_alarm(int64_t us, int64_t again_us = 0) {
  const itimerval timer{{0, static_cast<suseconds_t>(again_us)}, {0, static_cast<suseconds_t>(us)}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

struct Outcome {
  long result;
  int error;
  int64_t took_us;
};
template <typename Call>
Outcome measure(Call call) {
  victim::burn_ms(20);
  errno = 0;
  const int64_t begin = victim::clock_ns(CLOCK_MONOTONIC);
  const long result = call();
  return {result, errno, (victim::clock_ns(CLOCK_MONOTONIC) - begin) / 1000};
}

// On a loaded machine a thread is woken late.
int64_t longest_us(int64_t ms) {
  return ms * 1050 + 8'000;
}

// It took `ms`, and ended with that result and error.
void judge(const char* name, int64_t ms, long result, int error, const Outcome& got) {
  const bool right = got.result == result && (got.error == error || error < 0);
  const bool in_time = got.took_us >= ms * 1000 - 1000 && got.took_us <= longest_us(ms);
  if (right && in_time)
    printf("%s: as it should\n", name);
  else
    printf("%s: %ld, errno %d after %lld us\n", name, got.result, got.error,
           static_cast<long long>(got.took_us));
}
// Late by a loaded machine, now and then; or by us, always.
constexpr int kAttempts = 8;
bool is_late(const Outcome& got, int64_t ms, long result) {
  return got.result == result && got.took_us > longest_us(ms);
}

template <typename Call>
void expect(const char* name, int64_t ms, long result, int error, Call call) {
  Outcome got = measure(call);
  for (int attempt = 1; attempt < kAttempts && is_late(got, ms, result); ++attempt) got = measure(call);
  judge(name, ms, result, error, got);
}

// An alarm in the very microsecond in which the handler of a tick is left, or a tick in that of the alarm's,
// can't be told: the call misses it, and the next one ends it. That is rare enough to be tried again, and
// counted.
int g_missed = 0;

template <typename Call>
void expect_alarm(const char* name, Call call) {
  Outcome got{};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int before = g_alarms;
    set_alarm(0);
    got = measure([&] {
      set_alarm(kMs * 1000, kMs * 2000);
      return call();
    });
    set_alarm(0);
    g_missed += g_alarms != before + 1;
    if (g_alarms == before + 1 && !is_late(got, kMs, -1)) break;
  }
  judge(name, kMs, -1, EINTR, got);
}

void sleeps() {
  expect("nanosleep", kMs, 0, -1, [] { return nanosleep(&kLimit, nullptr); });
  timespec rest{};
  expect("nanosleep, rest", kMs, 0, -1, [&] { return nanosleep(&kLimit, &rest); });
  expect("clock_nanosleep", kMs, 0, -1,
         [&] { return clock_nanosleep(CLOCK_MONOTONIC, 0, &kLimit, nullptr); });
  expect("clock_nanosleep until", kMs, 0, -1, [] {
    timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += kLimit.tv_nsec;
    if (until.tv_nsec >= 1'000'000'000) until = {until.tv_sec + 1, until.tv_nsec - 1'000'000'000};
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  });
  expect("usleep", kMs, 0, -1, [] { return usleep(kMs * 1000); });
  expect("sleep", 1000, 0, 0, [] { return static_cast<long>(sleep(1)); });
}

void polls(int fd, int epoll) {
  pollfd one{fd, POLLIN, 0};
  epoll_event event;
  const auto set = [fd] {
    fd_set fds;
    FD_ZERO(&fds);
    FD_SET(fd, &fds);
    return fds;
  };
  expect("poll", kMs, 0, -1, [&] { return poll(&one, 1, kMs); });
  expect("ppoll", kMs, 0, -1, [&] { return ppoll(&one, 1, &kLimit, nullptr); });
  expect("select", kMs, 0, -1, [&] {
    fd_set fds = set();
    timeval limit{0, kMs * 1000};
    const int result = select(fd + 1, &fds, nullptr, nullptr, &limit);
    return limit.tv_sec != 0 || limit.tv_usec != 0 ? 77 : result;
  });
  expect("pselect", kMs, 0, -1, [&] {
    fd_set fds = set();
    return pselect(fd + 1, &fds, nullptr, nullptr, &kLimit, nullptr);
  });
  expect("epoll_wait", kMs, 0, -1, [&] { return epoll_wait(epoll, &event, 1, kMs); });
  expect("epoll_pwait", kMs, 0, -1, [&] { return epoll_pwait(epoll, &event, 1, kMs, nullptr); });

  expect_alarm("poll without limit", [&] { return poll(&one, 1, -1); });
  expect_alarm("poll, alarm first", [&] { return poll(&one, 1, 5000); });
  expect_alarm("epoll_wait without limit", [&] { return epoll_wait(epoll, &event, 1, -1); });
  expect_alarm("select without limit", [&] {
    fd_set fds = set();
    return select(fd + 1, &fds, nullptr, nullptr, nullptr);
  });
  expect_alarm("nanosleep, alarm first", [&] {
    timespec rest{0, 0};
    const timespec limit{5, 0};
    const int result = nanosleep(&limit, &rest);
    return rest.tv_sec == 4 ? result : 77;
  });
  expect_alarm("read of a pipe", [&] {
    int fds[2];
    char byte;
    require(pipe(fds) == 0, "pipe");
    return read(fds[0], &byte, 1);
  });
}

void limit_socket(int fd, int option) {
  const timeval limit{0, kMs * 1000};
  require(setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit) == 0, "setsockopt");
}

void sockets() {
  int pair[2];
  char data[65536] = {};
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  limit_socket(pair[0], SO_RCVTIMEO);
  limit_socket(pair[0], SO_SNDTIMEO);
  iovec part{data, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  expect("recv", kMs, -1, EAGAIN, [&] { return recv(pair[0], data, 1, 0); });
  expect("recvfrom", kMs, -1, EAGAIN, [&] { return recvfrom(pair[0], data, 1, 0, nullptr, nullptr); });
  expect("recvmsg", kMs, -1, EAGAIN, [&] { return recvmsg(pair[0], &message, 0); });
  expect("read of a socket", kMs, -1, EAGAIN, [&] { return read(pair[0], data, 1); });
  expect_alarm("recv, alarm first", [&] {
    const timeval longer{5, 0};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &longer, sizeof longer);
    return recv(pair[0], data, 1, 0);
  });
  while (send(pair[0], data, sizeof data, MSG_DONTWAIT) > 0) {
  }
  expect("send", kMs, -1, EAGAIN, [&] { return send(pair[0], data, 1, 0); });
  expect("write to a socket", kMs, -1, EAGAIN, [&] { return write(pair[0], data, 1); });

  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  socklen_t bytes = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  require(listen(listener, 0) == 0, "listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes);
  limit_socket(listener, SO_RCVTIMEO);
  expect("accept", kMs, -1, EAGAIN, [&] { return accept(listener, nullptr, nullptr); });
  expect("accept4", kMs, -1, EAGAIN, [&] { return accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); });
  // Nobody accepts: the next ones aren't answered.
  for (int i = 0; i < 4; ++i) {
    const int fill = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fill, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) usleep(20'000);
  }
  expect("connect", kMs, -1, EINPROGRESS, [&] {
    const int late =
        socket(AF_INET, SOCK_STREAM, 0);  // a second try on the first one would be told of the first
    limit_socket(late, SO_SNDTIMEO);
    return connect(late, reinterpret_cast<sockaddr*>(&address), sizeof address);
  });
}

void semaphores() {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  expect("sem_timedwait", kMs, -1, ETIMEDOUT, [&] {
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += kLimit.tv_nsec;
    if (until.tv_nsec >= 1'000'000'000) until = {until.tv_sec + 1, until.tv_nsec - 1'000'000'000};
    return sem_timedwait(&semaphore, &until);
  });
  const int set = semget(IPC_PRIVATE, 1, 0600);
  const int queue = msgget(IPC_PRIVATE, 0600);
  require(set >= 0 && queue >= 0, "semget, msgget");
  sembuf take{0, -1, 0};
  long message[4];
  expect("semtimedop", kMs, -1, EAGAIN, [&] { return semtimedop(set, &take, 1, &kLimit); });
  expect_alarm("semop", [&] { return semop(set, &take, 1); });
  expect_alarm("msgrcv", [&] { return msgrcv(queue, message, 8, 0, 0); });
  semctl(set, 0, IPC_RMID);
  msgctl(queue, IPC_RMID, nullptr);
}

void signals() {
  sigset_t user, now;
  sigemptyset(&user);
  sigaddset(&user, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &user, &now);
  expect("sigtimedwait", kMs, -1, EAGAIN, [&] { return sigtimedwait(&user, nullptr, &kLimit); });
  expect_alarm("pause", [] { return pause(); });
  expect_alarm("sigsuspend", [&] { return sigsuspend(&now); });
  // Blocked but for the call.
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm_only, nullptr);
  expect_alarm("sigsuspend that opens", [&] { return sigsuspend(&now); });
  expect_alarm("ppoll that opens", [&] { return ppoll(nullptr, 0, nullptr, &now); });
  expect_alarm("pselect that opens", [&] { return pselect(0, nullptr, nullptr, nullptr, nullptr, &now); });
  pthread_sigmask(SIG_UNBLOCK, &alarm_only, nullptr);
}

// At any place of the tick's: each alarm ends one wait.
void many_alarms() {
  for (int i = 0; i < 1000; ++i) {
    set_alarm(500 + i % 977);
    errno = 0;
    g_missed += poll(nullptr, 0, 20) != -1 || errno != EINTR;
  }
  victim::note_fact("missed", g_missed);
  puts(g_missed <= 10 ? "alarms end waits" : "many alarms don't end waits");
}

}  // namespace

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  // Of a kernel that says it is 2.6 siprof believes that ticks interrupt calls, so as they do here.
  if (argc == 1) {
    require(personality(UNAME26) >= 0, "personality");
    execl("/proc/self/exe", argv[0], "again", nullptr);
    victim::give_up("exec");
  }
  struct sigaction action {};
  action.sa_handler = count_alarm;
  sigaction(SIGALRM, &action, nullptr);
  g_main = static_cast<pid_t>(syscall(SYS_gettid));
  const bool ticks = learn_tick();
  pthread_t thread;
  if (ticks) require(pthread_create(&thread, nullptr, send_ticks, nullptr) == 0, "pthread_create");
  int fds[2];
  require(pipe(fds) == 0, "pipe");
  const int epoll = epoll_create1(0);
  sleeps();
  polls(fds[0], epoll);
  sockets();
  semaphores();
  signals();
  many_alarms();
  g_stop = true;
  if (ticks) pthread_join(thread, nullptr);
  victim::note_fact("sent", g_sent);
  return 0;
}
