// SPDX-License-Identifier: Apache-2.0
#include "collector/http/http_server.h"

#include <httplib.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <spdlog/spdlog.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "collector/http/access.h"
#include "collector/http/answer.h"
#include "collector/http/api.h"
#include "collector/http/http_metrics.h"
#include "collector/http/query_string.h"
#include "collector/http/send.h"
#include "collector/http/worker_pool.h"
#include "collector/web/assets.h"

namespace siprof::collector {
namespace {

using httplib::Request;
using httplib::Response;

constexpr std::size_t kMaxBodyBytes = 64u << 10;  // only /login has one
constexpr std::size_t kMaxWaiting = 256;
constexpr int kBacklog = 1024;
constexpr char kApi[] = "/api/v1/";

}  // namespace

class HttpServer::State {
 public:
  State(HttpOptions options, std::unique_ptr<Access> access, const StoreReader& reader, const Store& store,
        prometheus::Registry& registry)
      : options_(std::move(options)),
        access_(std::move(access)),
        api_(reader, options_.now_ns),
        store_(store),
        registry_(registry),
        metrics_(registry) {}
  ~State() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status start();
  int port() const { return port_; }

 private:
  bool tls() const { return !options_.tls_cert_file.empty(); }
  absl::Status make_server();
  void set_limits();
  void set_routes();
  void set_hooks();
  httplib::Server::HandlerResponse before(const Request& request, Response& response);
  void answer_api(const Request& request, Response& response);
  void answer_login(const Request& request, Response& response);
  void answer_get(const Request& request, Response& response);
  absl::Status check_access(const Request& request) const;
  void answer_ready(Response& response);
  void answer_metrics(Response& response);

  const HttpOptions options_;
  const std::unique_ptr<Access> access_;
  const Api api_;
  const Store& store_;
  prometheus::Registry& registry_;
  HttpMetrics metrics_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  socket_t listener_ = INVALID_SOCKET;  // server_ owns it
  int port_ = 0;
};

absl::Status HttpServer::State::make_server() {
  if (!tls()) {
    server_ = std::make_unique<httplib::Server>();
    return absl::OkStatus();
  }
  auto server =
      std::make_unique<httplib::SSLServer>(options_.tls_cert_file.c_str(), options_.tls_key_file.c_str());
  if (!server->is_valid()) {
    char why[256] = "";
    ERR_error_string_n(ERR_get_error(), why, sizeof why);
    return absl::InvalidArgumentError(absl::StrCat("--tls-cert ", options_.tls_cert_file, " and --tls-key ",
                                                   options_.tls_key_file, " don't make a server: ", why));
  }
  server_ = std::move(server);
  return absl::OkStatus();
}

absl::Status HttpServer::State::start() {
  if (absl::Status status = make_server(); !status.ok()) return status;
  set_limits();
  set_hooks();
  set_routes();
  errno = 0;
  if (options_.port == 0)
    port_ = server_->bind_to_any_port(options_.host);
  else
    port_ = server_->bind_to_port(options_.host, options_.port) ? options_.port : -1;
  if (port_ <= 0)
    return absl::UnavailableError(absl::StrCat("can't listen on ", options_.host, ":", options_.port, ": ",
                                               errno != 0 ? std::strerror(errno) : "no such address",
                                               "; give another --http"));
  // The library's own backlog is 5: of a burst of connections the kernel would drop most, and their next try
  // comes after a second.
  if (::listen(listener_, kBacklog) != 0)
    spdlog::warn("many connections at once will be slow: listen: {}", std::strerror(errno));
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  // stop() before the loop runs would be lost.
  while (!server_->is_running()) std::this_thread::yield();
  return absl::OkStatus();
}

void HttpServer::State::set_limits() {
  const auto seconds = static_cast<time_t>(absl::ToInt64Seconds(options_.request_timeout));
  server_->set_read_timeout(seconds, 0);
  server_->set_write_timeout(seconds, 0);
  server_->set_keep_alive_timeout(2);
  server_->set_keep_alive_max_count(1000);
  server_->set_payload_max_length(kMaxBodyBytes);
  server_->set_tcp_nodelay(true);
  // The library's own options include SO_REUSEPORT, with which a second collector
  // would silently take half of the connections.
  server_->set_socket_options([this](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    listener_ = socket;
  });
  server_->new_task_queue = [threads = options_.connections] {
    return new WorkerPool({.threads = threads, .max_waiting = kMaxWaiting});
  };
  server_->set_default_headers({{"Content-Security-Policy", std::string(content_security_policy())},
                                {"X-Content-Type-Options", "nosniff"},
                                {"X-Frame-Options", "DENY"},
                                {"Referrer-Policy", "no-referrer"},
                                {"Cross-Origin-Opener-Policy", "same-origin"},
                                {"Cross-Origin-Resource-Policy", "same-origin"}});
}

void HttpServer::State::set_hooks() {
  server_->set_pre_routing_handler([this](const Request& q, Response& r) { return before(q, r); });
  server_->set_error_handler([](const Request&, Response& r) { set_library_error(r); });
  server_->set_exception_handler([](const Request& q, Response& r, std::exception_ptr error) {
    std::string what = "unknown exception";
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
      spdlog::debug("an exception that is no std::exception");
    }
    spdlog::error("answering {}: {}", q.path, what);
    r.status = 500;
    set_library_error(r);
  });
}

httplib::Server::HandlerResponse HttpServer::State::before(const Request& request, Response& response) {
  using Result = httplib::Server::HandlerResponse;
  const absl::Time start = absl::Now();
  if (request.method == "GET" || request.method == "HEAD") {
    answer_get(request, response);
  } else if (const absl::Status allowed = check_access(request); !allowed.ok()) {
    set_error(response, allowed);
  } else if (request.method == "POST" && request.path == "/login") {
    return Result::Unhandled;
  } else {
    set_error(response, absl::NotFoundError("only GET is understood here, and POST /login"));
  }
  metrics_.answered(request.path, response.status < 0 ? 200 : response.status, absl::Now() - start);
  return Result::Handled;
}

void HttpServer::State::set_routes() {
  // Only what has a body: all else is answered by before(), because the library
  // matches paths as regular expressions, whose cost and depth grow with the path.
  server_->Post("/login", [this](const Request& request, Response& response) {
    const absl::Time start = absl::Now();
    answer_login(request, response);
    metrics_.answered(request.path, response.status, absl::Now() - start);
  });
}

void HttpServer::State::answer_get(const Request& request, Response& response) {
  if (request.path == "/healthz") return response.set_content("ok\n", "text/plain");
  if (request.path == "/readyz") return answer_ready(response);
  if (const absl::Status allowed = check_access(request); !allowed.ok()) return set_error(response, allowed);
  if (request.path == "/metrics") return answer_metrics(response);
  if (request.path.starts_with(kApi)) return answer_api(request, response);
  const Asset* asset = find_asset(request.path);
  if (asset == nullptr) return set_error(response, absl::NotFoundError("there is nothing at this path"));
  send_asset(*asset, request, response);
}

// Everything but health, login and the dashboard's files wants a token: these
// hold no data, and they are what asks for the token.
absl::Status HttpServer::State::check_access(const Request& request) const {
  if (access_->wants_token() && (request.path == "/login" || find_asset(request.path) != nullptr))
    return absl::OkStatus();
  return access_->check(request.get_header_value("Authorization"), request.get_header_value("Cookie"),
                        request.get_header_value("Host"));
}

void HttpServer::State::answer_api(const Request& request, Response& response) {
  response.set_header("Cache-Control", "no-store");
  const absl::StatusOr<RawParams> params = params_of_target(request.target);
  if (!params.ok()) return set_error(response, params.status());
  absl::StatusOr<Answer> answer = api_.get(request.path.substr(sizeof kApi - 1), *params);
  if (!answer.ok()) return set_error(response, answer.status());
  send_answer(*std::move(answer), request, response);
}

void HttpServer::State::answer_login(const Request& request, Response& response) {
  response.set_header("Cache-Control", "no-store");
  if (!access_->wants_token()) {
    response.status = 204;
    return;
  }
  const std::string token = request.get_param_value("token");
  if (!access_->is_token(token))
    return set_error(response, absl::UnauthenticatedError("this is no token of --web-tokens"));
  response.set_header("Set-Cookie", Access::cookie_for(token, tls()));
  response.status = 204;
}

void HttpServer::State::answer_ready(Response& response) {
  if (const absl::Status ready = store_.ready(); !ready.ok()) {
    response.status = 503;
    return response.set_content(error_body("unavailable", std::string(ready.message())), "application/json");
  }
  response.set_content("ok\n", "text/plain");
}

void HttpServer::State::answer_metrics(Response& response) {
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, registry_.Collect());
  response.set_content(text.str(), "text/plain; version=0.0.4");
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port() const {
  return state_->port();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options, const StoreReader& reader,
                                                              const Store& store,
                                                              prometheus::Registry& registry) {
  if (!options.now_ns) options.now_ns = [] { return absl::GetCurrentTimeNanos(); };
  absl::StatusOr<std::unique_ptr<Access>> access = Access::open(options.web_tokens_file, options.any_host);
  if (!access.ok()) return access.status();
  auto state = std::make_unique<State>(std::move(options), *std::move(access), reader, store, registry);
  if (absl::Status status = state->start(); !status.ok()) return status;
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

}  // namespace siprof::collector
