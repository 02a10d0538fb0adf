// SPDX-License-Identifier: Apache-2.0
// Steps a program instruction by instruction and walks its stack at each, by the shim's tables and by
// libunwind. Writes what it found; corpus.py runs it over many programs.
//   stack_oracle --windows 20 --steps 5000 --report FILE -- COMMAND ARGUMENT…
#include <sched.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "test/oracle/report.h"

namespace siprof::oracle {
namespace {

constexpr std::size_t kMostFrames = 2000;
constexpr unsigned kMostRounds = 10000;

volatile sig_atomic_t g_time_over = 0;

struct Options {
  unsigned start_steps = 100;
  unsigned windows = 10;
  unsigned steps = 2000;
  unsigned run_us = 5000;
  unsigned seconds = 40;
  bool damaged = false;
  std::string report;
  std::vector<std::string> command;
};

client::Registers registers_of(const user_regs_struct& from) {
  return {from.rax, from.rdx, from.rcx, from.rbx, from.rsi, from.rdi, from.rbp, from.rsp, from.r8,
          from.r9,  from.r10, from.r11, from.r12, from.r13, from.r14, from.r15, from.rip};
}

// As a handler gets them.
ucontext_t context_of(const user_regs_struct& from) {
  ucontext_t context{};
  greg_t* to = context.uc_mcontext.gregs;
  for (const auto& [number, value] : {std::pair{REG_RAX, from.rax},
                                      {REG_RDX, from.rdx},
                                      {REG_RCX, from.rcx},
                                      {REG_RBX, from.rbx},
                                      {REG_RSI, from.rsi},
                                      {REG_RDI, from.rdi},
                                      {REG_RBP, from.rbp},
                                      {REG_RSP, from.rsp},
                                      {REG_R8, from.r8},
                                      {REG_R9, from.r9},
                                      {REG_R10, from.r10},
                                      {REG_R11, from.r11},
                                      {REG_R12, from.r12},
                                      {REG_R13, from.r13},
                                      {REG_R14, from.r14},
                                      {REG_R15, from.r15},
                                      {REG_RIP, from.rip}})
    to[number] = static_cast<greg_t>(value);
  return context;
}

class Stepper {
 public:
  Stepper(SteppedProcess process, ProcessView view)
      : process_(std::move(process)), view_(std::move(view)), ours_(kMostFrames) {}

  // Compares at `steps` instructions. False: the program is over.
  bool go_through(unsigned steps) {
    view_.read_maps(process_);
    user_regs_struct before{};
    unsigned rounds = 0;
    while (steps != 0 && g_time_over == 0) {
      user_regs_struct now{};
      if (!process_.registers(&now)) return false;
      // A string instruction stops at each of its rounds, of which there may be millions.
      rounds = now.rip == before.rip && now.rsp == before.rsp ? rounds + 1 : 0;
      if (rounds == kMostRounds) return true;
      if (rounds == 0) {
        compare(now);
        --steps;
      }
      before = now;
      const bool maps_change = at_mapping_call(now);
      if (!process_.step()) return false;
      if (maps_change || process_.take_exec()) view_.read_maps(process_);
    }
    return g_time_over == 0;
  }
  bool run_for(unsigned microseconds) { return process_.run_for(microseconds); }

  const Report& report() const { return report_; }
  const LibunwindWalker& walker() const { return walker_; }

 private:
  void compare(const user_regs_struct& now) {
    const client::Registers registers = registers_of(now);
    if (view_.modules().find(now.rip) == nullptr) view_.read_maps(process_);
    view_.copy_stacks(process_, now.rsp);
    const shim::CodeView code = view_.code();
    const ucontext_t context = context_of(now);
    const shim::StackBounds current = view_.current().bounds(view_.current().low);
    const shim::StackBounds own =
        &view_.own() == &view_.current() ? current : view_.own().bounds(view_.own().low);
    const shim::WalkResult result =
        walk_stack(code, {now.rip, now.rsp, now.rbp, &context}, current, own, ours_.data(), kMostFrames);
    walker_.walk(view_, registers, kMostFrames, &theirs_);
    report_.add(view_, code, result, std::span(ours_).first(result.frames), theirs_);
  }

  // mmap, mprotect, munmap.
  bool at_mapping_call(const user_regs_struct& now) const {
    if (now.rax < 9 || now.rax > 11) return false;
    std::array<std::byte, 2> code{};
    return process_.read(now.rip, code) == code.size() && code[0] == std::byte{0x0f} &&
           code[1] == std::byte{0x05};
  }

  SteppedProcess process_;
  ProcessView view_;
  LibunwindWalker walker_;
  Report report_;
  std::vector<std::uint64_t> ours_;
  OracleWalk theirs_;
};

// On one processor the two hand over to each other several times faster.
void stay_on_one_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  sched_setaffinity(0, sizeof one, &one);
}

// The program's own end is no error, and neither is that of the time.
int run(const Options& options) {
  stay_on_one_processor();
  auto view = ProcessView::make(options.damaged);
  auto process = SteppedProcess::start(options.command);
  for (const absl::Status& status : {view.status(), process.status()}) {
    if (status.ok()) continue;
    std::cerr << "stack_oracle: " << status.message() << '\n';
    return 2;
  }
  struct sigaction action = {};
  action.sa_handler = [](int) {  // interrupts waitpid, again if it came before that
    g_time_over = 1;
    alarm(1);
  };
  sigaction(SIGALRM, &action, nullptr);
  alarm(options.seconds);
  Stepper stepper(*std::move(process), *std::move(view));
  bool runs = stepper.go_through(options.start_steps);
  for (unsigned i = 0; runs && i < options.windows; ++i)
    runs = stepper.run_for(options.run_us) && stepper.go_through(options.steps);
  std::ofstream out(options.report);
  stepper.report().write(out);
  const LibunwindWalker& walker = stepper.walker();
  out << "libunwind\t" << walker.steps() << '\t' << walker.steps_kept() << '\t' << walker.kept_wrongly()
      << '\n';
  out.flush();
  if (!out) std::cerr << "stack_oracle: cannot write " << options.report << '\n';
  return out ? 0 : 2;
}

}  // namespace
}  // namespace siprof::oracle

int main(int argc, char** argv) {
  siprof::oracle::Options options;
  CLI::App app("Compares the shim's stack walks with libunwind's at every instruction");
  app.add_option("--start-steps", options.start_steps, "instructions to compare from the first one on");
  app.add_option("--windows", options.windows, "how often to stop the running program");
  app.add_option("--steps", options.steps, "instructions to compare then");
  app.add_option("--run-us", options.run_us, "how long it runs between windows");
  app.add_option("--seconds", options.seconds, "end after this time");
  app.add_flag("--damaged", options.damaged, "alter some rules: to see that it is noticed");
  app.add_option("--report", options.report, "file to write")->required();
  app.add_option("command", options.command, "the program and its arguments")->required();
  CLI11_PARSE(app, argc, argv);
  return siprof::oracle::run(options);
}
