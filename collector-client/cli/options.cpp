// SPDX-License-Identifier: Apache-2.0
// Flags over environment over defaults, all by the option table.
#include "collector-client/cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector-client/cli/option_table.h"
#include "collector-client/cli/state_folder.h"

namespace siprof::client {
namespace {

std::string long_flag(const OptionRow& row) {
  const std::string flag = row.flag;
  return flag.substr(flag.rfind(',') + 1);
}

const std::string* find_value(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() || found->second.empty() ? nullptr : &found->second;
}

void read_default(const OptionRow& row, Options* options) {
  if (row.fallback[0] == '\0') return;
  // The table's own defaults are read by a unit test: they can't fail here.
  (void)row.read(row, row.fallback, options);
}

void read_variable(const OptionRow& row, const Environment& environment, Options* options) {
  const char* name = row.variable;
  const std::string* value = find_value(environment, name);
  const bool has_one_other =
      row.others[0] != '\0' && std::string_view(row.others).find(' ') == std::string::npos;
  if (value == nullptr && has_one_other) value = find_value(environment, name = row.others);
  if (value == nullptr) return;
  if (absl::Status status = row.read(row, *value, options); !status.ok()) {
    options->warnings.push_back(
        absl::StrCat(name, "=", *value, " is not used: ", std::string(status.message())));
  }
}

// "a b" for the line that says what is wrong with it.
absl::Status bad_option(const std::string& option, const std::string& advice) {
  return absl::InvalidArgumentError(absl::StrCat(option, ": ", advice));
}

std::string percent_encode(const std::string& text) {
  std::string encoded;
  for (char c : text) {
    if (c == ',' || c == '=' || c == '%') {
      absl::StrAppend(&encoded, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      encoded.push_back(c);
    }
  }
  return encoded;
}

std::string label_list(const Attributes& labels) {
  std::string list;
  for (const auto& [key, value] : labels)
    absl::StrAppend(&list, list.empty() ? "" : ",", key, "=", percent_encode(value));
  return list;
}

absl::Status read_flag(const OptionRow& row, const std::vector<std::string>& values, Options* options) {
  for (const std::string& value : values) {
    if (absl::Status status = row.read(row, value, options); !status.ok()) {
      return bad_option(absl::StrCat(long_flag(row), " ", value), std::string(status.message()));
    }
  }
  options->given[row.variable] = row.repeats ? label_list(options->labels) : values.back();
  return absl::OkStatus();
}

void set_up(CLI::App* app, std::vector<std::vector<std::string>>* values) {
  app->set_help_flag("-h,--help", "print this");
  app->prefix_command();
  std::size_t at = 0;
  for (const OptionRow& row : option_table()) {
    std::vector<std::string>& into = (*values)[at++];
    if (row.flag[0] == '\0') continue;
    app->add_option(row.flag, into, row.help)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
}

// CMD ARG… out of what CLI11 didn't take.
absl::Status take_command(std::vector<std::string> rest, CommandLine* line) {
  if (!rest.empty() && rest.front() == "--") {
    rest.erase(rest.begin());
  } else if (!rest.empty() && rest.front().starts_with("-")) {
    return bad_option(rest.front(), "there is no such option; --help lists them, -- goes before the command");
  }
  line->command = std::move(rest);
  return absl::OkStatus();
}

void finish(const Environment& environment, Options* options) {
  if (options->spool.empty()) options->spool = default_spool(environment, options->collector);
}

}  // namespace

bool Options::is_on(std::string_view kind) const {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Options options_from_environment(const Environment& environment) {
  Options options;
  for (const OptionRow& row : option_table()) {
    read_default(row, &options);
    read_variable(row, environment, &options);
  }
  finish(environment, &options);
  return options;
}

absl::StatusOr<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                               const Environment& environment) {
  CommandLine line;
  CLI::App app;
  std::vector<std::vector<std::string>> values(option_table().size());
  set_up(&app, &values);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    line.help = true;
    return line;
  } catch (const CLI::ParseError& e) {
    return absl::InvalidArgumentError(absl::StrCat(e.what(), "; --help lists the options"));
  }
  if (absl::Status status = take_command(app.remaining(), &line); !status.ok()) return status;
  std::size_t at = 0;
  for (const OptionRow& row : option_table()) {
    read_default(row, &line.options);
    read_variable(row, environment, &line.options);
    const std::vector<std::string>& given = values[at++];
    if (given.empty()) continue;
    if (absl::Status status = read_flag(row, given, &line.options); !status.ok()) return status;
  }
  finish(environment, &line.options);
  return line;
}

std::string options_help() {
  std::string help;
  for (const OptionRow& row : option_table()) {
    if (row.flag[0] == '\0') continue;
    const std::string fallback = row.fallback[0] == '\0' ? "" : absl::StrCat(" [", row.fallback, "]");
    const std::string flag = absl::StrCat("  ", row.flag);
    absl::StrAppend(&help, flag, std::string(flag.size() < 20 ? 20 - flag.size() : 1, ' '), row.help,
                    fallback, "\n");
  }
  return help;
}

std::string options_markdown() {
  std::string table = "| option | environment | default | meaning |\n|---|---|---|---|\n";
  for (const OptionRow& row : option_table()) {
    std::string flag = row.flag[0] == '\0' ? "" : absl::StrCat("`", row.flag, "`");
    if (const std::size_t comma = flag.find(','); comma != std::string::npos) flag.replace(comma, 1, "`, `");
    absl::StrAppend(&table, "| ", flag, " | `", row.variable, "`");
    if (row.others[0] != '\0') absl::StrAppend(&table, ", then ", row.others);
    absl::StrAppend(&table, " | ", row.fallback[0] == '\0' ? "" : absl::StrCat("`", row.fallback, "`"), " | ",
                    row.help, " |\n");
  }
  return table;
}

}  // namespace siprof::client
