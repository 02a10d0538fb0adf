// SPDX-License-Identifier: Apache-2.0
// See worker_protocol.h.
#include "collector-client/symbolize/worker_protocol.h"

#include "collector-client/symbolize/wire.h"

namespace siprof::client {
namespace {

void write_frame(WireWriter& out, const SourceFrame& frame) {
  out.text(frame.name);
  out.text(frame.system_name);
  out.text(frame.file);
  out.number(static_cast<std::uint64_t>(frame.line));
  out.number(static_cast<std::uint64_t>(frame.start_line));
}

std::string short_text(WireReader& in) {
  std::string text = in.text();
  if (text.size() > kMaxNameBytes) text.resize(kMaxNameBytes);
  return text;
}

SourceFrame read_frame(WireReader& in) {
  SourceFrame frame;
  frame.name = short_text(in);
  frame.system_name = short_text(in);
  frame.file = short_text(in);
  frame.line = static_cast<std::int64_t>(in.number());
  frame.start_line = static_cast<std::int64_t>(in.number());
  return frame;
}

}  // namespace

std::string encode(const WorkerRequest& request) {
  WireWriter out;
  out.number(static_cast<std::uint64_t>(request.task));
  out.number(request.want_crc);
  out.number(request.use_dwarf);
  out.text(request.key);
  out.number(request.has_file);
  out.number(request.has_debug);
  out.number(request.has_alternate);
  out.number(request.addresses.size());
  for (const std::uint64_t address : request.addresses) out.number(address);
  return out.bytes();
}

std::optional<WorkerRequest> decode_request(std::string_view bytes) {
  WireReader in(bytes);
  WorkerRequest request;
  request.task = static_cast<WorkerTask>(in.number());
  request.want_crc = in.number() != 0;
  request.use_dwarf = in.number() != 0;
  request.key = in.text();
  request.has_file = in.number() != 0;
  request.has_debug = in.number() != 0;
  request.has_alternate = in.number() != 0;
  request.addresses.resize(in.count());
  for (std::uint64_t& address : request.addresses) address = in.number();
  if (!in.at_end()) return std::nullopt;
  return request;
}

std::string encode(const FileDescription& description) {
  WireWriter out;
  out.text(description.build_id);
  out.text(description.debug_link);
  out.number(description.debug_link_crc);
  out.text(description.alternate_link);
  out.text(description.alternate_build_id);
  out.number(description.has_dwarf);
  out.number(description.crc);
  return out.bytes();
}

std::optional<FileDescription> decode_description(std::string_view bytes) {
  WireReader in(bytes);
  FileDescription description;
  description.build_id = in.text();
  description.debug_link = in.text();
  description.debug_link_crc = static_cast<std::uint32_t>(in.number());
  description.alternate_link = in.text();
  description.alternate_build_id = in.text();
  description.has_dwarf = in.number() != 0;
  description.crc = static_cast<std::uint32_t>(in.number());
  if (!in.at_end()) return std::nullopt;
  return description;
}

std::string encode(const NamedFrames& frames) {
  WireWriter out;
  out.number(frames.size());
  for (const auto& stack : frames) {
    out.number(stack.size());
    for (const SourceFrame& frame : stack) write_frame(out, frame);
  }
  return out.bytes();
}

std::optional<NamedFrames> decode_frames(std::string_view bytes) {
  WireReader in(bytes);
  NamedFrames frames(in.count());
  for (auto& stack : frames) {
    const std::uint64_t count = in.count();
    if (count > kMaxInlinedFrames) return std::nullopt;
    stack.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) stack.push_back(read_frame(in));
  }
  if (!in.at_end()) return std::nullopt;
  return frames;
}

}  // namespace siprof::client
