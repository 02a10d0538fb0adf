// SPDX-License-Identifier: Apache-2.0
// An app that uses SIGPROF itself, after (or, with "early", before) it has run for a while. What it sees
// must be what it would see alone: its handler's count, SIG_IGN, the default action, the old action.
#include <sys/time.h>
#include <csignal>
#include <cstring>

#include "test/preload/victims/victim.h"

namespace {

volatile sig_atomic_t g_ticks = 0;

void on_profile(int) {
  g_ticks = g_ticks + 1;
}

void start_timer(int interval_us) {
  const itimerval every{{0, interval_us}, {0, interval_us}};
  victim::require(setitimer(ITIMER_PROF, &every, nullptr) == 0, "setitimer");
}

void own_handler() {
  struct sigaction mine {};
  struct sigaction old {};
  mine.sa_handler = on_profile;
  mine.sa_flags = SA_RESTART;
  sigaction(SIGPROF, &mine, &old);
  printf("before: %s\n", old.sa_handler == SIG_DFL ? "default" : "something else");
  start_timer(10'000);
  victim::burn_ms(600);
  start_timer(0);
  struct sigaction now {};
  sigaction(SIGPROF, nullptr, &now);
  printf("now: %s, flags %#x\n", now.sa_handler == on_profile ? "mine" : "something else", now.sa_flags);
  victim::note_fact("ticks", g_ticks);
}

// A timer of the app's own making that signals SIGPROF to the process.
void own_timer() {
  struct sigaction mine {};
  mine.sa_handler = on_profile;
  sigaction(SIGPROF, &mine, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGPROF;
  timer_t timer;
  victim::require(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0, "timer_create");
  const itimerspec every{{0, 10'000'000}, {0, 10'000'000}};
  timer_settime(timer, 0, &every, nullptr);
  victim::burn_ms(600);
  timer_delete(timer);
  victim::note_fact("ticks", g_ticks);
}

}  // namespace

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "handler";
  const bool early = argc > 2 && strcmp(argv[2], "early") == 0;
  if (!early) victim::burn_ms(200);
  if (strcmp(how, "handler") == 0) own_handler();
  if (strcmp(how, "timer") == 0) own_timer();
  if (strcmp(how, "ignore") == 0) {
    printf("before: %s\n", signal(SIGPROF, SIG_IGN) == SIG_DFL ? "default" : "something else");
    start_timer(10'000);
    victim::burn_ms(300);
    raise(SIGPROF);
    printf("now: %s\n", signal(SIGPROF, SIG_IGN) == SIG_IGN ? "ignored" : "something else");
  }
  if (strcmp(how, "default") == 0) {
    printf("before: %s\n", signal(SIGPROF, SIG_DFL) == SIG_DFL ? "default" : "something else");
    fflush(stdout);
    start_timer(10'000);
    victim::burn_ms(300);
    puts("survived");
  }
  if (strcmp(how, "raise") == 0) {
    // Nothing installed: the default action of each of these signals ends the process.
    fflush(stdout);
    raise(argc > 2 ? atoi(argv[2]) : SIGPROF);
    puts("survived");
  }
  victim::burn_ms(100);
}
