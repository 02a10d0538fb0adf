// SPDX-License-Identifier: Apache-2.0
#include "collector/options.h"

#include <arpa/inet.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace siprof::collector {
namespace {

// What the command line says, before it is understood.
struct Texts {
  std::string grpc, http, retention, store_bytes;
};

void add_options(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("--grpc", texts.grpc, "address for agents (127.0.0.1:9460); port 0: one that is free");
  app.add_option("--http", texts.http, "address of dashboard and API (127.0.0.1:9461)");
  app.add_option("--store", options.store_dir, "folder of the embedded store ($XDG_STATE_HOME/siprof/store)");
  app.add_option("--retention", texts.retention,
                 "how long each tier is kept (10s=48h,1m=14d,10m=90d,1h=2y); only 10s is filled yet");
  app.add_option("--store-bytes", texts.store_bytes,
                 "largest size of the store; its oldest days go first (no limit)");
  app.add_option("--config", options.config_file,
                 "rates and kinds per service, pushed to agents; reread when changed");
  app.add_option("--tokens", options.tokens_file, "agents need one of these tokens, one a line");
  app.add_option("--web-tokens", options.web_tokens_file,
                 "dashboard and API need one of these tokens, one a line");
  app.add_option("--tls-cert", options.tls_cert_file, "certificate chain (PEM) of both ports");
  app.add_option("--tls-key", options.tls_key_file, "its private key (PEM)");
  app.add_option("--tls-client-ca", options.tls_client_ca_file,
                 "agents need a certificate signed by this CA (PEM)");
  app.add_flag("--insecure", options.insecure, "allow listening beyond this machine without tokens");
}

// 1073741824, 512MiB, 10GiB.
absl::StatusOr<std::int64_t> parse_bytes(const std::string& text) {
  std::int64_t unit = 1;
  std::string digits = text;
  for (const auto& [suffix, bytes] : {std::pair{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}) {
    if (!absl::EndsWith(text, suffix)) continue;
    unit = std::int64_t{1} << bytes;
    digits.resize(text.size() - 3);
  }
  std::uint32_t count = 0;
  std::uint64_t plain = 0;
  if (unit == 1 && absl::SimpleAtoi(digits, &plain) && plain > 0 && plain < (std::uint64_t{1} << 62))
    return static_cast<std::int64_t>(plain);
  if (unit > 1 && absl::SimpleAtoi(digits, &count) && count > 0 && count < (std::int64_t{1} << 62) / unit)
    return count * unit;
  return absl::InvalidArgumentError(absl::StrCat("--store-bytes ", text, ": write bytes, or 512MiB, 10GiB"));
}

absl::Status set_address(const char* option, const std::string& text, Address& out) {
  if (text.empty()) return absl::OkStatus();
  absl::StatusOr<Address> address = parse_address(text);
  if (!address.ok())
    return absl::InvalidArgumentError(absl::StrCat(option, " ", text, ": ", address.status().message()));
  out = *std::move(address);
  return absl::OkStatus();
}

absl::Status understand(const Texts& texts, Options& options) {
  if (absl::Status status = set_address("--grpc", texts.grpc, options.grpc); !status.ok()) return status;
  if (absl::Status status = set_address("--http", texts.http, options.http); !status.ok()) return status;
  if (!texts.retention.empty()) {
    absl::StatusOr<std::vector<Tier>> tiers = parse_retention(texts.retention);
    if (!tiers.ok())
      return absl::InvalidArgumentError(absl::StrCat("--retention: ", tiers.status().message()));
    options.tiers = *std::move(tiers);
  }
  if (!texts.store_bytes.empty()) {
    const absl::StatusOr<std::int64_t> bytes = parse_bytes(texts.store_bytes);
    if (!bytes.ok()) return bytes.status();
    options.store_bytes = *bytes;
  }
  if (absl::StrContains(options.store_dir, "://"))
    return absl::InvalidArgumentError(
        absl::StrCat("--store ", options.store_dir, ": this build stores into a folder only; give one"));
  if (options.store_dir.empty()) options.store_dir = default_store_dir();
  if (options.store_dir.empty())
    return absl::InvalidArgumentError(
        "neither HOME nor XDG_STATE_HOME says where the store is: give --store DIR");
  if (options.tls_cert_file.empty() != options.tls_key_file.empty())
    return absl::InvalidArgumentError("--tls-cert and --tls-key go together: give both");
  if (!options.tls_client_ca_file.empty() && options.tls_cert_file.empty())
    return absl::InvalidArgumentError("--tls-client-ca needs --tls-cert and --tls-key too");
  return check_exposure(options);
}

}  // namespace

std::string Address::text() const {
  return absl::StrCat(absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":", port);
}

absl::StatusOr<Address> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  Address address;
  const bool has_port = colon != std::string::npos && absl::SimpleAtoi(text.substr(colon + 1), &address.port);
  address.host = text.substr(0, has_port ? colon : 0);
  const bool bracketed = absl::StartsWith(address.host, "[") && absl::EndsWith(address.host, "]");
  if (bracketed) address.host = address.host.substr(1, address.host.size() - 2);
  if (!has_port || address.port < 0 || address.port > 65535 ||
      (!bracketed && absl::StrContains(address.host, ':')))
    return absl::InvalidArgumentError("write HOST:PORT, such as 127.0.0.1:9460 or [::1]:9460");
  if (address.host.empty()) address.host = "0.0.0.0";
  return address;
}

bool is_loopback(const std::string& host) {
  in_addr v4;
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

absl::Status check_exposure(const Options& options) {
  if (options.insecure) return absl::OkStatus();
  if (!is_loopback(options.http.host) && options.web_tokens_file.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("--http ", options.http.text(),
                     " would show every profile to whoever can reach it: give --web-tokens "
                     "FILE, listen on 127.0.0.1, or say --insecure"));
  if (!is_loopback(options.grpc.host) && options.tokens_file.empty() && options.tls_client_ca_file.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("--grpc ", options.grpc.text(),
                     " would take profiles from whoever can reach it: give --tokens FILE "
                     "or --tls-client-ca FILE, listen on 127.0.0.1, or say --insecure"));
  return absl::OkStatus();
}

std::string default_store_dir() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return absl::StrCat(state, "/siprof/store");
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return absl::StrCat(home, "/.local/state/siprof/store");
  // Not /tmp: who was there first would own our profiles.
  return "";
}

absl::StatusOr<std::variant<Options, Printed>> parse_options(int argc, const char* const* argv) {
  CLI::App app("Collects profiles from siprof agents, keeps them and shows them.", "siprof-collector");
  Options options;
  Texts texts;
  add_options(app, options, texts);
  app.set_version_flag("--version", "siprof-collector " SIPROF_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Printed{app.help()};
  } catch (const CLI::CallForVersion& version) {
    return Printed{absl::StrCat(version.what(), "\n")};
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), " (--help lists the options)"));
  }
  if (absl::Status status = understand(texts, options); !status.ok()) return status;
  return options;
}

}  // namespace siprof::collector
