// SPDX-License-Identifier: Apache-2.0
// Moves known numbers of bytes by every call, and waits in reads for times that it measures itself; both are
// noted as facts. Built a second time with _FORTIFY_SOURCE=3. argv: bytes | waits TURNS.
#include <fcntl.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

using victim::note_fact;
using victim::require;

constexpr int kTurns = 50;
constexpr int kLongEvery = 100;

// Not known to the compiler, so that fortified calls check at run time.
volatile size_t g_size = 1000;

struct Ends {
  int in = -1, out = -1;
};
Ends make_pipe() {
  int fds[2];
  require(pipe(fds) == 0, "pipe");
  return {fds[0], fds[1]};
}

void files(int fd) {
  char data[2000] = {};
  char more[2000];
  for (int i = 0; i < kTurns; ++i) {
    const size_t size = g_size;
    iovec parts[2] = {{data, size / 2}, {more, size - size / 2}};
    require(pwrite(fd, data, size, 0) == 1000, "pwrite");
    require(pwritev(fd, parts, 2, 1000) == 1000, "pwritev");
    require(pread(fd, more, size, 0) == 1000, "pread");
    require(preadv(fd, parts, 2, 0) == 1000, "preadv");
    require(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    require(write(fd, data, size) == 1000, "write");
    require(writev(fd, parts, 2) == 1000, "writev");
    require(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    require(read(fd, more, size) == 1000, "read");
    require(readv(fd, parts, 2) == 1000, "readv");
    require(fsync(fd) == 0, "fsync");
  }
}

void sockets() {
  int pair[2];
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  char data[2000] = {};
  for (int i = 0; i < kTurns; ++i) {
    const size_t size = g_size;
    iovec part = {data, size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    require(send(pair[0], data, size, 0) == 1000 && recv(pair[1], data, size, 0) == 1000, "send");
    require(sendto(pair[0], data, size, 0, nullptr, 0) == 1000 &&
                recvfrom(pair[1], data, size, 0, nullptr, nullptr) == 1000,
            "sendto");
    require(sendmsg(pair[0], &message, 0) == 1000 && recvmsg(pair[1], &message, 0) == 1000, "sendmsg");
    mmsghdr many{message, 0};
    require(sendmmsg(pair[0], &many, 1, 0) == 1 && recvmmsg(pair[1], &many, 1, 0, nullptr) == 1, "sendmmsg");
  }
}

void in_kernel(int fd) {
  const Ends pipe = make_pipe();
  const Ends other = make_pipe();
  char data[2000];
  for (int i = 0; i < kTurns; ++i) {
    off_t at = 0;
    loff_t from = 0;
    require(sendfile(pipe.out, fd, &at, 1000) == 1000, "sendfile");
    require(tee(pipe.in, other.out, 1000, 0) == 1000, "tee");
    iovec part = {data, 1000};
    require(preadv(pipe.in, &part, 1, 0) < 0, "preadv of a pipe");  // no bytes
    require(splice(other.in, nullptr, fd, &from, 1000, 0) == 1000, "splice");
    require(syscall(0 /* read, which no wrapper sees */, pipe.in, data, 1000) == 1000, "read");
    loff_t to = 1000;
    from = 0;
    require(copy_file_range(fd, &from, fd, &to, 1000, 0) == 1000, "copy_file_range");
  }
}

// Streams count what goes to the kernel, in pieces of their own.
void streams(const char* path) {
  char data[2000];
  memset(data, 'x', sizeof data);
  FILE* file = fopen(path, "w+");
  require(file != nullptr, "fopen");
  for (int i = 0; i < 1000; ++i) require(fwrite(data, 1, g_size, file) == 1000, "fwrite");
  require(fflush(file) == 0, "fflush");
  rewind(file);
  for (int i = 0; i < 1000; ++i) require(fread(data, 1, g_size, file) == 1000, "fread");
  fclose(file);

  file = fopen(path, "w");
  for (int i = 0; i < 1000; ++i) fprintf(file, "%0*d\n", static_cast<int>(g_size) - 1, i);
  fclose(file);
  file = fopen(path, "r");
  int lines = 0;
  while (fgets(data, static_cast<int>(sizeof data), file) != nullptr) ++lines;
  rewind(file);
  char* line = nullptr;
  size_t room = 0;
  while (getline(&line, &room, file) > 0) ++lines;
  require(lines == 2000, "lines");
  free(line);
  fclose(file);
}

int move_bytes() {
  char path[256];
  snprintf(path, sizeof path, "%s/io_truth.data", getenv("VICTIM_FOLDER"));
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(fd >= 0, "open");
  files(fd);
  in_kernel(fd);
  sockets();
  streams(path);
  victim::burn_ms(100);
  puts("moved");
  return 0;
}

struct Ball {
  Ends there, back;
  int turns;
};

void* throw_back(void* argument) {
  const auto* ball = static_cast<const Ball*>(argument);
  char byte = 0;
  for (int i = 0; i < ball->turns; ++i) {
    require(read(ball->there.in, &byte, 1) == 1, "read");
    if (i % kLongEvery == 0) {
      usleep(5000);
    } else {
      // About 40 us.
      const int64_t end = victim::clock_ns(CLOCK_MONOTONIC) + 40'000;
      while (victim::clock_ns(CLOCK_MONOTONIC) < end) {
      }
    }
    require(write(ball->back.out, &byte, 1) == 1, "write");
  }
  return nullptr;
}

// Two functions, also for a compiler that makes one of equal ones.
VICTIM_NOINLINE int64_t long_read(int fd) {
  char byte;
  asm volatile("# long");
  const int64_t begin = victim::clock_ns(CLOCK_MONOTONIC);
  require(read(fd, &byte, 1) == 1, "read");
  return victim::clock_ns(CLOCK_MONOTONIC) - begin;
}
VICTIM_NOINLINE int64_t short_read(int fd) {
  char byte;
  asm volatile("# short");
  const int64_t begin = victim::clock_ns(CLOCK_MONOTONIC);
  require(read(fd, &byte, 1) == 1, "read");
  return victim::clock_ns(CLOCK_MONOTONIC) - begin;
}

int wait_in_reads(int turns) {
  victim::burn_ms(60);  // it is attached
  Ball ball{make_pipe(), make_pipe(), turns};
  pthread_t thread;
  require(pthread_create(&thread, nullptr, throw_back, &ball) == 0, "pthread_create");
  int64_t long_ns = 0, short_ns = 0, longs = 0, shorts = 0;
  for (int i = 0; i < turns; ++i) {
    require(write(ball.there.out, "x", 1) == 1, "write");
    if (i % kLongEvery == 0) {
      long_ns += long_read(ball.back.in);
      ++longs;
    } else {
      short_ns += short_read(ball.back.in);
      ++shorts;
    }
  }
  pthread_join(thread, nullptr);
  note_fact("long_ns", long_ns);
  note_fact("longs", longs);
  note_fact("short_ns", short_ns);
  note_fact("shorts", shorts);
  puts("waited");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "bytes") == 0) return move_bytes();
  if (argc == 3 && strcmp(argv[1], "waits") == 0) return wait_in_reads(atoi(argv[2]));
  return 2;
}
