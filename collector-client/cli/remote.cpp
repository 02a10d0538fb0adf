// SPDX-License-Identifier: Apache-2.0
// Options and requests of services, top and get.
#include "collector-client/cli/remote.h"

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"
#include "collector-client/cli/http_get.h"

namespace siprof::client {
namespace {

constexpr std::uint16_t kHttpPort = 9461;
constexpr std::size_t kMaxTokenBytes = 8192;

void add_options(CLI::App* app, unsigned needs, RemoteOptions* into) {
  app->add_option("--server", into->server, "the collector's HTTP address [http://127.0.0.1:9461]");
  app->add_option("--token", into->token, "key for its dashboard [SIPROF_TOKEN, SIPROF_TOKEN_FILE]");
  app->add_option("--tls-ca", into->tls_ca, "certificates to trust [SIPROF_TLS_CA, the system's]");
  app->add_option("--tls-cert", into->tls_cert, "own certificate, for mTLS [SIPROF_TLS_CERT]");
  app->add_option("--tls-key", into->tls_key, "own key, for mTLS [SIPROF_TLS_KEY]");
  if (needs & kRange) {
    app->add_option("--service", into->service, "service.name")->required();
    app->add_option("--kind", into->kind, "cpu, wall, heap, lock, io, errors [cpu]");
    app->add_option("--type", into->type, "sample type [the kind's default]");
    app->add_option("--from", into->from, "unix seconds, RFC 3339 or now-15m [now-1h]");
    app->add_option("--to", into->to, "the same, exclusive [now]");
    app->add_option("--label", into->labels, "k=v: only where the label has this value; repeatable")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  if (needs & kLimit) app->add_option("--limit", into->limit, "most functions [20]");
  if (needs & kFile) app->add_option("-o,--output", into->file, "the file to write")->required();
  if (needs & kJson) app->add_flag("--json", into->json, "the server's answer as it is");
}

absl::Status take_environment(const Environment& environment, RemoteOptions* options) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  if (options->server.empty()) options->server = absl::StrCat("http://127.0.0.1:", kHttpPort);
  for (const auto& [option, name] : {std::pair{&options->tls_ca, "SIPROF_TLS_CA"},
                                     {&options->tls_cert, "SIPROF_TLS_CERT"},
                                     {&options->tls_key, "SIPROF_TLS_KEY"}}) {
    if (option->empty()) *option = value(name);
  }
  if (options->token.empty()) options->token = value("SIPROF_TOKEN");
  if (options->token.empty() && !value("SIPROF_TOKEN_FILE").empty()) {
    absl::StatusOr<std::string> file = read_file(value("SIPROF_TOKEN_FILE"), kMaxTokenBytes);
    if (!file.ok()) return file.status();
    options->token = std::string(trim(*file));
  }
  for (const std::string& label : options->labels) {
    if (label.find('=') == std::string::npos || label.front() == '=') {
      return absl::InvalidArgumentError(absl::StrCat("--label ", label, ": write k=v"));
    }
  }
  for (char c : options->token) {
    if (c <= ' ' || c >= 0x7f)
      return absl::InvalidArgumentError("--token: it holds blanks or control characters");
  }
  return parse_url(options->server, kHttpPort).status();
}

// What the server says is wrong, out of {"error": {"message": …}}.
absl::Status refused(const RemoteOptions& options, const HttpAnswer& answer) {
  std::string message = absl::StrCat("HTTP status ", answer.status);
  const nlohmann::json body = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (body.is_object() && body.contains("error") && body["error"].is_object()) {
    message = body["error"].value("message", message);
  }
  if (answer.status == 401) absl::StrAppend(&message, " (--token)");
  return absl::FailedPreconditionError(absl::StrCat(options.server, ": ", message));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> RemoteOptions::range_parameters() const {
  std::vector<std::pair<std::string, std::string>> parameters = {
      {"service", service}, {"kind", kind}, {"type", type}, {"from", from}, {"to", to}};
  for (const std::string& label : labels) parameters.emplace_back("match", label);
  return parameters;
}

absl::StatusOr<RemoteOptions> parse_remote(const char* command, const std::vector<std::string>& arguments,
                                           unsigned needs, const Environment& environment) {
  RemoteOptions options;
  CLI::App app("", absl::StrCat("siprof ", command));
  app.set_help_flag("-h,--help", "print this");
  add_options(&app, needs, &options);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    options.help = true;
    options.help_text = app.help();
    return options;
  } catch (const CLI::ParseError& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(e.what(), "; siprof ", command, " --help lists the options"));
  }
  if (absl::Status status = take_environment(environment, &options); !status.ok()) return status;
  return options;
}

absl::StatusOr<std::string> ask(const RemoteOptions& options, const std::string& path) {
  absl::StatusOr<Url> url = parse_url(options.server, kHttpPort);
  if (!url.ok()) return url.status();
  HttpRequest request;
  request.url = *std::move(url);
  request.path = path;
  request.token = options.token;
  request.tls_ca = options.tls_ca;
  request.tls_cert = options.tls_cert;
  request.tls_key = options.tls_key;
  absl::StatusOr<HttpAnswer> answer = http_get(request);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) return refused(options, *answer);
  return std::move(answer->body);
}

int run_remote(int argc, char** argv, unsigned needs, absl::Status (*work)(const RemoteOptions& options)) {
  ::signal(SIGPIPE, SIG_IGN);  // a server that closes early is an error, not an end
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  absl::StatusOr<RemoteOptions> options = parse_remote(argv[0], arguments, needs, own_environment());
  if (options.ok() && options->help) {
    std::fputs(options->help_text.c_str(), stdout);
    return 0;
  }
  const absl::Status status = options.ok() ? work(*options) : options.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "siprof %s: %s\n", argv[0], std::string(status.message()).c_str());
  return options.ok() ? 1 : 2;
}

}  // namespace siprof::client
