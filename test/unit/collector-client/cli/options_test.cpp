// SPDX-License-Identifier: Apache-2.0
// Options: precedence, errors, the documentation, the state folder.
#include "collector-client/cli/options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "collector-client/base/file_io.h"
#include "collector-client/cli/option_table.h"
#include "collector-client/cli/state_folder.h"
#include "collector-client/cli/values.h"

namespace siprof::client {
namespace {

using Arguments = std::vector<std::string>;

std::string error_of(const Arguments& arguments) {
  const auto line = parse_command_line(arguments, {});
  return line.ok() ? "" : std::string(line.status().message());
}

}  // namespace

TEST_CASE("every default of the table can be read") {
  for (const OptionRow& row : option_table()) {
    INFO(row.variable);
    Options options;
    if (row.fallback[0] != '\0') CHECK(row.read(row, row.fallback, &options).ok());
  }
  const Options o = options_from_environment({{"HOME", "/srv/x"}});
  CHECK(o.collector == "http://127.0.0.1:9460");
  CHECK(o.kinds == std::vector<std::string>{"cpu", "heap", "lock", "io", "errors", "metrics"});
  CHECK(o.hz == 100);
  CHECK(o.heap_interval_bytes == 524288);
  CHECK(o.block_interval == absl::Milliseconds(1));
  CHECK(o.window == absl::Seconds(10));
  CHECK(o.budget_share == 0.01);
  CHECK(o.spool_bytes == 256u << 20);
  CHECK(o.spool == "/srv/x/.local/state/siprof/spool/127.0.0.1:9460");
  CHECK(o.follow);
  CHECK_FALSE(o.disabled);
  CHECK(o.warnings.empty());
}

TEST_CASE("flags go over the environment, which goes over defaults") {
  const Environment env = {{"SIPROF_HZ", "50"}, {"SIPROF_WINDOW", "5s"}, {"SIPROF_LABELS", "a=1,b=2"}};
  const auto line = parse_command_line({"--hz", "250", "--label", "b=x%2Cy", "--label=c=3", "--kinds",
                                        "cpu,wall", "-o", "out", "--", "cmd", "--hz", "1"},
                                       env);
  REQUIRE(line.ok());
  CHECK(line->options.hz == 250);
  CHECK(line->options.window == absl::Seconds(5));
  CHECK(line->options.labels == Attributes{{"a", "1"}, {"b", "x,y"}, {"c", "3"}});
  CHECK(line->options.output == "out");
  CHECK(line->options.is_on("wall"));
  CHECK_FALSE(line->options.is_on("heap"));
  CHECK(line->command == Arguments{"cmd", "--hz", "1"});
  CHECK(line->options.given == std::map<std::string, std::string>{{"SIPROF_HZ", "250"},
                                                                  {"SIPROF_KINDS", "cpu,wall"},
                                                                  {"SIPROF_LABELS", "a=1,b=x%2cy,c=3"},
                                                                  {"SIPROF_OUTPUT", "out"}});
  // What is handed on reads back as the same.
  const Options again = options_from_environment(line->options.given);
  CHECK(again.labels == line->options.labels);
  CHECK(again.hz == 250);
}

TEST_CASE("options end at the command, with or without --") {
  CHECK(parse_command_line({"--hz", "10", "ls", "-l", "--version"}, {})->command ==
        Arguments{"ls", "-l", "--version"});
  CHECK(parse_command_line({"--version", "1.2", "ls"}, {})->options.version == "1.2");
  CHECK(parse_command_line({"--", "--hz"}, {})->command == Arguments{"--hz"});
  CHECK(parse_command_line({}, {})->command.empty());
  CHECK(parse_command_line({"--help"}, {})->help);
}

TEST_CASE("a bad option is one line that says what to write") {
  CHECK(error_of({"--hz", "0", "x"}) == "--hz 0: write a number from 1 to 1000");
  CHECK(error_of({"--window", "10", "x"}).find("10s") != std::string::npos);
  CHECK(error_of({"--kinds", "cpu,gpu", "x"}).find("out of cpu, wall") != std::string::npos);
  CHECK(error_of({"--collector", "localhost:1", "x"}).find("http://HOST:PORT") != std::string::npos);
  CHECK(error_of({"--spool-bytes", "1", "x"}).find("65536") != std::string::npos);
  CHECK(error_of({"--frobnicate", "x"}).find("--frobnicate: there is no such option") == 0);
  CHECK_FALSE(error_of({"--hz"}).empty());
  for (const Arguments& bad : {Arguments{"--hz", "0"}, Arguments{"--frobnicate"}, Arguments{"--hz"}}) {
    CHECK(error_of(bad).find('\n') == std::string::npos);
  }
}

TEST_CASE("a bad environment value is a warning and the default holds") {
  const Options o = options_from_environment(
      {{"SIPROF_HZ", "fast"}, {"SIPROF_KINDS", "none"}, {"OTEL_SDK_DISABLED", "true"}});
  CHECK(o.hz == 100);
  REQUIRE(o.warnings.size() == 1);
  CHECK(o.warnings[0] == "SIPROF_HZ=fast is not used: write a number from 1 to 1000");
  CHECK(o.kinds.empty());
  CHECK(o.disabled);
}

TEST_CASE("what runs inside an interpreter is on unless it is switched off") {
  CHECK(options_from_environment({}).python_errors);
  CHECK(options_from_environment({{"SIPROF_PYTHON_ERRORS", ""}}).python_errors);
  const Options o = options_from_environment({{"SIPROF_PYTHON_ERRORS", "on"}, {"SIPROF_PYTHON_ALLOC", "no"}});
  CHECK(o.python_errors);
  CHECK_FALSE(o.python_alloc);
  CHECK(o.warnings.empty());
  // The process itself reads it.
  const auto line = parse_command_line({"--python-alloc", "off", "x"}, {{"SIPROF_PYTHON_ERRORS", "off"}});
  REQUIRE(line.ok());
  CHECK_FALSE(line->options.python_alloc);
  CHECK_FALSE(line->options.python_errors);
  CHECK(line->options.given.at("SIPROF_PYTHON_ALLOC") == "off");
}

TEST_CASE("which native frames Python stacks show is one of three") {
  CHECK(options_from_environment({}).native_frames == NativeFrames::kApp);
  const Options o = options_from_environment({{"SIPROF_NATIVE_FRAMES", "all"}});
  CHECK(o.native_frames == NativeFrames::kAll);
  CHECK(o.warnings.empty());
  const auto line = parse_command_line({"--native-frames", "none", "x"}, {});
  REQUIRE(line.ok());
  CHECK(line->options.native_frames == NativeFrames::kNone);
  CHECK(line->options.given.at("SIPROF_NATIVE_FRAMES") == "none");
  CHECK_FALSE(parse_command_line({"--native-frames", "some", "x"}, {}).ok());
}

TEST_CASE("the budget is a share, or off") {
  CHECK(options_from_environment({}).budget_share.value() == Approx(0.01));
  CHECK(options_from_environment({{"SIPROF_BUDGET", "2.5%"}}).budget_share.value() == Approx(0.025));
  CHECK_FALSE(options_from_environment({{"SIPROF_BUDGET", "off"}}).budget_share.has_value());
}

TEST_CASE("durations, sizes and shares are read with their units") {
  CHECK(*parse_duration("1m30s") == absl::Seconds(90));
  for (const char* bad : {"", "10", "-1s", "0", "inf", "s"}) CHECK_FALSE(parse_duration(bad).ok());
  CHECK(*parse_bytes("64KiB") == 65536);
  CHECK(*parse_bytes("1G") == 1u << 30);
  for (const char* bad : {"", "x", "-1", "+1", "1.5M", "99999999999TiB", "MiB"})
    CHECK_FALSE(parse_bytes(bad).ok());
  CHECK(**parse_share("0.5%") == Approx(0.005));
  for (const char* bad : {"", "1", "0%", "-1%", "101%", "nan%"}) CHECK_FALSE(parse_share(bad).ok());
}

TEST_CASE("docs/configuration.md holds the table of options as it is") {
  const char* source = std::getenv("SIPROF_SOURCE");
  REQUIRE(source != nullptr);
  const absl::StatusOr<std::string> docs = read_file(std::string(source) + "/docs/configuration.md", 1 << 20);
  REQUIRE(docs.ok());
  INFO(options_markdown());
  CHECK(docs->find(options_markdown()) != std::string::npos);
}

TEST_CASE("the state folder is ours alone or refused") {
  CHECK(state_folder({{"XDG_STATE_HOME", "/s"}, {"HOME", "/h"}}) == "/s/siprof");
  CHECK(state_folder({{"XDG_STATE_HOME", "relative"}, {"HOME", "/h"}}) == "/h/.local/state/siprof");
  CHECK(state_folder({}) == "/tmp/siprof-" + std::to_string(::geteuid()));
  char base[] = "/tmp/siprof-state-XXXXXX";
  REQUIRE(::mkdtemp(base) != nullptr);
  const std::string folder = std::string(base) + "/x/siprof", link = std::string(base) + "/link";
  REQUIRE(prepare_state_folder(folder).ok());
  REQUIRE(::chmod(folder.c_str(), 0755) == 0);
  REQUIRE(prepare_state_folder(folder).ok());
  struct stat info {};
  REQUIRE(::stat(folder.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  REQUIRE(::symlink(folder.c_str(), link.c_str()) == 0);
  CHECK(absl::IsFailedPrecondition(prepare_state_folder(link)));
  if (::geteuid() == 0) {
    REQUIRE(::chown(folder.c_str(), 65534, 65534) == 0);
    CHECK(absl::IsFailedPrecondition(prepare_state_folder(folder)));
  } else {
    CHECK(absl::IsFailedPrecondition(prepare_state_folder("/usr")));
  }
  CHECK(std::system(("rm -r " + std::string(base)).c_str()) == 0);
}

}  // namespace siprof::client
