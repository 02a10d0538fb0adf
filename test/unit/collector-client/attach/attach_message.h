// SPDX-License-Identifier: Apache-2.0
// The message that a process attaches with, put together as the shim does.
#pragma once

#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector-client/attach/attach_request.h"
#include "proto/siprof/shared_memory.h"

namespace siprof::client {

struct MessageTexts {
  std::string_view executable{"/bin/app\0", 9};
  std::string_view arguments{"app\0-x\0", 7};
  std::string_view environment{"HOME=/srv\0SIPROF_SERVICE=shop\0", 30};
  std::string_view maps{"1000-2000 r-xp 00000000 fe:01 77 /bin/app\n"};
};

inline AttachMessage attach_header(std::uint32_t descriptors) {
  AttachMessage message{};
  message.magic = kAttachMagic;
  message.version = kHandshakeVersion;
  message.descriptors = descriptors;
  message.pid = getpid();
  message.uid = geteuid();
  message.rates = {100, kKindCpu, kDefaultHeapIntervalBytes, kDefaultBlockIntervalNs, 1};
  message.session = 1;
  return message;
}

// Sets the lengths of the texts in `message`.
inline RawMessage raw_message(AttachMessage message, std::vector<UniqueFd> descriptors,
                              const MessageTexts& texts = {}) {
  message.exe_bytes = static_cast<std::uint32_t>(texts.executable.size());
  message.argv_bytes = static_cast<std::uint32_t>(texts.arguments.size());
  message.environment_bytes = static_cast<std::uint32_t>(texts.environment.size());
  message.maps_bytes = static_cast<std::uint32_t>(texts.maps.size());
  RawMessage raw;
  raw.bytes.resize(sizeof(message) + texts.executable.size() + texts.arguments.size() +
                   texts.environment.size() + texts.maps.size());
  std::byte* at = raw.bytes.data();
  memcpy(at, &message, sizeof(message));
  at += sizeof(message);
  for (const std::string_view text : {texts.executable, texts.arguments, texts.environment, texts.maps}) {
    memcpy(at, text.data(), text.size());
    at += text.size();
  }
  raw.descriptors = std::move(descriptors);
  return raw;
}

}  // namespace siprof::client
