// SPDX-License-Identifier: Apache-2.0
// Records of Python: words of samples, and what marks mean.
#include <catch2/catch.hpp>

#include "collector-client/drain/chunk_reader.h"
#include "test/unit/collector-client/drain/pool_builder.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kOwner = owner_of(10, 1);
const std::string kName("f\0", 2);
const std::string kFile("a.py\0", 5);

struct Fixture {
  PoolBuilder pool{1};
  ChunkReader reader{pool.data(), 1};
  Collected out;
  std::vector<PythonCodePart> codes;

  Fixture() {
    pool.own(0, kOwner, 1);
    reader.set_python_sink([this](const PythonCodePart& part) { codes.push_back(part); });
  }
  void drain() {
    pool.seal(0);
    reader.drain(out.sink(), false);
  }
};

TEST_CASE_METHOD(Fixture, "a walked stack has its Python words behind its frames") {
  pool.put_mixed(0, 3, 2, 2);
  pool.put_mixed(0, 1, 0, 0);
  drain();
  REQUIRE(out.samples.size() == 2);
  CHECK(out.samples[0].frames == std::vector<std::uint64_t>{0x1000, 0x1001, 0x1002});
  CHECK(out.samples[0].python ==
        std::vector<std::uint64_t>{python_word(0x77, 5, false), python_word(0x78, 5, true)});
  CHECK(out.samples[1].python.empty());
  CHECK(reader.statistics().malformed == 0);
}

TEST_CASE_METHOD(Fixture, "a traceback has Python words alone, and says so") {
  for (const std::uint32_t flags : {std::uint32_t{kTraceAlone}, std::uint32_t{0}}) {
    FramesFields fields{};
    fields.python_words = 1;
    fields.head.flags = flags;
    std::byte* at = pool.reserve(0, sizeof(FramesRecord) + 8);
    memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
    const std::uint64_t word = python_word(1, 2, true);
    memcpy(at + sizeof(FramesRecord), &word, sizeof(word));
    PoolBuilder::commit(at, RecordKind::kFrames, sizeof(FramesRecord) + 8);
  }
  drain();
  REQUIRE(out.samples.size() == 1);
  CHECK(out.samples[0].frames.empty());
  CHECK(out.samples[0].python == std::vector<std::uint64_t>{python_word(1, 2, true)});
  CHECK(reader.statistics().malformed == 1);
}

TEST_CASE_METHOD(Fixture, "a copied stack has them before it") {
  SampleFields fields{};
  fields.serial = 1;
  fields.stack_bytes = fields.inline_stack_bytes = 16;
  fields.python_words = 2;
  fields.head.extra_bytes = 3;
  std::byte* at = pool.reserve(0, sizeof(SampleRecord) + 8 + 16 + 16);
  memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
  memcpy(at + sizeof(SampleRecord), "abc", 3);
  const std::uint64_t words[] = {python_word(1, 2, false), python_word(3, 4, true)};
  memcpy(at + sizeof(SampleRecord) + 8, words, sizeof(words));
  for (std::uint32_t i = 0; i < 16; ++i) at[sizeof(SampleRecord) + 24 + i] = PoolBuilder::byte_at(i);
  PoolBuilder::commit(at, RecordKind::kSample, sizeof(SampleRecord) + 8 + 16 + 16);
  drain();
  REQUIRE(out.samples.size() == 1);
  CHECK(out.samples[0].extra == "abc");
  CHECK(out.samples[0].python == std::vector<std::uint64_t>{words[0], words[1]});
  CHECK(out.samples[0].stack.size() == 16);
  CHECK(out.stacks_intact());
}

TEST_CASE_METHOD(Fixture, "words that aren't there, or too many, are no sample") {
  pool.put_mixed(0, 3, 2, 2);
  pool.put_mixed(0, 3, GENERATE(3u, 193u, 0x20000000u, 0xffffffffu), 2);
  SampleFields fields{};
  fields.python_words = GENERATE(1u, 0x20000000u, 0xffffffffu);
  std::byte* at = pool.reserve(0, sizeof(SampleRecord));
  memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
  PoolBuilder::commit(at, RecordKind::kSample, sizeof(SampleRecord));
  pool.put_mixed(0, 3, 2, 2);
  drain();
  CHECK(out.samples.size() == 2);
  CHECK(reader.statistics().malformed == 2);
}

TEST_CASE_METHOD(Fixture, "what a mark means comes with its texts and its part of the table") {
  PythonCodeFields fields = PoolBuilder::code_fields(5);
  fields.table_bytes = 9;
  fields.part_start = 4;
  pool.put_code(0, fields, kName, kFile);
  pool.put_code(0, PoolBuilder::code_fields(0), std::string("f\0", 2), std::string("\0b.py", 5));
  drain();
  REQUIRE(codes.size() == 2);
  CHECK(codes[0].fields.mark == 0x77);
  CHECK(codes[0].name == "f");
  CHECK(codes[0].file == "a.py");
  CHECK(codes[0].table == std::vector<std::byte>(5, std::byte{7}));
  CHECK(codes[0].fields.part_start == 4);
  // What is behind a zero is nothing.
  CHECK(codes[1].file == "");
  CHECK(codes[1].table.empty());
  CHECK(reader.statistics().malformed == 0);
}

TEST_CASE_METHOD(Fixture, "a sample's pieces may have a code between them") {
  pool.put_sample(0, 1, 24, 8);
  pool.put_code(0, PoolBuilder::code_fields(5), kName, kFile);
  pool.put_piece(0, 1, 8, 16);
  drain();
  REQUIRE(out.samples.size() == 1);
  CHECK(out.samples[0].stack.size() == 24);
  CHECK(codes.size() == 1);
}

TEST_CASE_METHOD(Fixture, "a meaning that contradicts itself is skipped, the next one is read") {
  PythonCodeFields fields = PoolBuilder::code_fields(5);
  SECTION("a mark of too many bits") {
    fields.mark = std::uint64_t{1} << kPythonMarkBits;
  }
  SECTION("no name") {
    fields.name_bytes = 0;
  }
  SECTION("a name that is too long") {
    fields.name_bytes = kMaxPythonName + 1;
  }
  SECTION("a file beyond the record") {
    fields.file_bytes = 100;
  }
  SECTION("a part beyond the record") {
    fields.part_bytes = fields.table_bytes = 100;
  }
  SECTION("a part beyond the table") {
    fields.part_start = 1;
  }
  SECTION("a part that overflows") {
    fields.part_start = 0xffffffff;
  }
  SECTION("a table that is too long") {
    fields.table_bytes = kMaxPythonLineTable + 1;
  }
  std::byte* at = pool.put_code(0, PoolBuilder::code_fields(5), kName, kFile);
  memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
  pool.put_code(0, PoolBuilder::code_fields(5), kName, kFile);
  drain();
  CHECK(codes.size() == 1);
  CHECK(reader.statistics().malformed == 1);
}

TEST_CASE_METHOD(Fixture, "a meaning that the process gave up is none") {
  PythonCodeFields fields{};
  fields.name_bytes = fields.file_bytes = 1;
  std::byte* at = pool.put_code(0, PoolBuilder::code_fields(5), kName, kFile);
  memcpy(at + sizeof(RecordHeader), &fields, sizeof(fields));
  pool.put_code(0, PoolBuilder::code_fields(5), kName, kFile);
  drain();
  CHECK(codes.size() == 1);
  CHECK(reader.statistics().malformed == 0);
}

TEST_CASE_METHOD(Fixture, "a code record that is too short is skipped") {
  PoolBuilder::commit(pool.reserve(0, 40), RecordKind::kPythonCode, 40);
  pool.put_code(0, PoolBuilder::code_fields(5), kName, kFile);
  drain();
  CHECK(codes.size() == 1);
  CHECK(reader.statistics().malformed == 1);
}

}  // namespace
}  // namespace siprof::client
