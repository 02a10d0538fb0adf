// SPDX-License-Identifier: Apache-2.0
// One message, from a profiled process to the agent, over SOCK_SEQPACKET.
//
// The process sends it and closes; nothing is answered. Descriptors come with it
// (SCM_RIGHTS) in the order of the set bits of `descriptors`.
//
//   AttachMessage | exe path \0 | argv strings \0…\0 | environment strings \0…\0 | maps lines
//
// The agent also takes StatusRequest on the same socket and answers with text
// (JSON), which is how `siprof ps` looks into it.
#pragma once

#include <cstdint>

#include "proto/siprof/rates.h"

namespace siprof {

inline constexpr std::uint32_t kAttachMagic = 0x61727073;  // "spra"
inline constexpr std::uint32_t kStatusMagic = 0x73727073;  // "sprs"
inline constexpr std::uint32_t kHandshakeVersion = 3;
inline constexpr std::uint32_t kMaxAttachBytes = 96 * 1024;
inline constexpr std::uint32_t kSecretBytes = 16;

// Bits of AttachMessage::descriptors, in the order they are sent.
enum AttachDescriptor : std::uint32_t {
  kMemoryFd = 1,  // the sealed memfd of shared_memory.h; always there
  kPidFd = 2,     // pidfd of the process (Linux 5.3)
  kProcFd = 4,    // O_PATH of /proc/PID
  kRootFd = 8,    // O_PATH of the process's /
  kMapsFd = 16,   // /proc/PID/maps, or a copy of it where that can't be opened
};

struct AttachMessage {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t descriptors;          // AttachDescriptor bits
  std::int32_t pid;                   // as the process sees itself
  std::uint32_t uid;                  // effective, as the process sees itself
  std::uint32_t maps_are_live;        // 1: kMapsFd can be read again, 0: a copy
  Rates rates;                        // as the environment says
  std::uint64_t session;              // equal to SharedHeader::session
  std::uint64_t start_ns;             // CLOCK_MONOTONIC at the shim's constructor
  std::uint64_t attached_before;      // 1: to this agent or another, since its start or last exec
  std::uint8_t secret[kSecretBytes];  // known to forked children only; proves them after setuid
  std::uint32_t exe_bytes;
  std::uint32_t argv_bytes;
  std::uint32_t environment_bytes;
  std::uint32_t
      maps_bytes;  // executable lines of /proc/PID/maps: a short process is gone when they are needed
};
static_assert(sizeof(AttachMessage) == 112);

struct StatusRequest {
  std::uint32_t magic;
  std::uint32_t version;
};

}  // namespace siprof
