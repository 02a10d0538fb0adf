// SPDX-License-Identifier: Apache-2.0
// See worker.h. One thread, no state but the files opened last.
#include "collector-client/symbolize/worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "collector-client/symbolize/bus_guard.h"
#include "collector-client/symbolize/file_symbols.h"
#include "collector-client/symbolize/message_socket.h"
#include "collector-client/symbolize/worker_protocol.h"

namespace siprof::client {
namespace {

constexpr int kSocket = 0;
constexpr std::size_t kMaxOpenFiles = 4;

// Private memory, so that huge files, which are mapped, do not count. No core dumps of other people's files.
void limit_resources([[maybe_unused]] std::uint64_t memory_bytes) {
  const rlimit none{0, 0};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they map terabytes of shadow
  const rlimit memory{memory_bytes, memory_bytes};
  setrlimit(RLIMIT_DATA, &memory);
#endif
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

class Worker {
 public:
  // False: the request makes no sense, or the answer can't be sent.
  bool serve(Message message) {
    std::optional<WorkerRequest> request = decode_request(message.bytes);
    if (!request) return false;
    std::string answer;
    if (request->task == WorkerTask::kDescribe) {
      FileDescription description;
      const auto image = take_image(message, request->has_file);
      if (image != nullptr) description = describe(*image, request->want_crc);
      answer = encode(description);
    } else {
      answer = encode(symbolize(*request, message));
    }
    return send_message(kSocket, answer, {}, absl::InfiniteFuture()).ok();
  }

 private:
  // The next of the message's files; null if there is none or it is not ELF.
  static std::shared_ptr<const ElfImage> take_image(Message& message, bool present) {
    if (!present || message.files.empty()) return nullptr;
    UniqueFd file = std::move(message.files.front());
    message.files.erase(message.files.begin());
    auto image = ElfImage::open(std::move(file), nullptr);
    return image.ok() ? *image : nullptr;
  }

  NamedFrames symbolize(const WorkerRequest& request, Message& message) {
    const std::string key = request.key + (request.use_dwarf ? "+dwarf" : "");
    if (!open_.contains(key)) {
      const auto file = request.has_file ? take_image(message, true) : ElfImage::vdso();
      const auto debug = take_image(message, request.has_debug);
      const auto alternate = take_image(message, request.has_alternate);
      if (file == nullptr) return NamedFrames(request.addresses.size());
      if (open_.size() >= kMaxOpenFiles) open_.clear();
      open_[key] = std::make_unique<FileSymbols>(file, debug, alternate, request.use_dwarf);
    }
    FileSymbols& symbols = *open_[key];
    NamedFrames frames;
    frames.reserve(request.addresses.size());
    for (const std::uint64_t address : request.addresses) frames.push_back(symbols.frames(address));
    return frames;
  }

  std::map<std::string, std::unique_ptr<FileSymbols>> open_;
};

}  // namespace

int symbol_worker_main(int argc, char** argv) {
  const std::uint64_t memory_bytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (memory_bytes == 0) return 2;
  limit_resources(memory_bytes);
  install_bus_guard();
  Worker worker;
  while (true) {
    absl::StatusOr<Message> message = receive_message(kSocket, absl::InfiniteFuture());
    if (!message.ok()) return absl::IsUnavailable(message.status()) ? 0 : 1;
    if (!worker.serve(*std::move(message))) return 1;
  }
}

}  // namespace siprof::client
