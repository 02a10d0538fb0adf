// SPDX-License-Identifier: Apache-2.0
// Wrappers of buffered streams. A call that its buffer answers goes straight on, and one that reaches the
// kernel is timed: the stream's own pointers (struct_FILE.h, unchanged since glibc 2.0) say which, before and
// after. What libc does by itself, flushing at exit for one, isn't seen. Compiled with exceptions:
// cancellation points.
#include <stdarg.h>

#include "shim/base/text.h"
#include "shim/io_waits.h"
#include "shim/probe/python_entry.h"
#include "shim/real.h"

using namespace siprof;
using namespace siprof::shim;

namespace {

#define SIPROF_INLINE __attribute__((always_inline)) inline
// So that the way past them needs no frame.
#define SIPROF_APART __attribute__((noinline))

// Longer pieces of unknown length than this are rare: they are found out afterwards, without their time.
constexpr long kUsualBytes = 512;

SIPROF_INLINE long pending(const FILE* stream) {
  return stream->_IO_write_ptr > stream->_IO_write_base ? stream->_IO_write_ptr - stream->_IO_write_base : 0;
}
SIPROF_INLINE long unread(const FILE* stream) {
  return stream->_IO_read_end > stream->_IO_read_ptr ? stream->_IO_read_end - stream->_IO_read_ptr : 0;
}
SIPROF_INLINE bool takes(const FILE* stream, unsigned long bytes) {
  const long room =
      stream->_IO_write_end - stream->_IO_write_ptr;  // below 0 in a stream that is flushed by lines
  return room >= 0 && static_cast<unsigned long>(room) >= bytes;
}
SIPROF_INLINE bool holds(const FILE* stream, unsigned long bytes) {
  return static_cast<unsigned long>(unread(stream)) >= bytes;
}

// Streams in memory have no descriptor.
void note_stream(IoCall id, const FILE* stream, const Stopwatch& watch, long moved, bool failed) {
  if (stream->_fileno >= 0 && (moved > 0 || failed))
    note_io(id, stream->_fileno, watch, moved);
  else
    forget_wall_wait();
}

// written(result): bytes that the stream took, below 0: it failed.
template <typename Call, typename Written>
SIPROF_APART auto timed_write(IoCall id, FILE* stream, Call call, Written written) {
  const long before = pending(stream);
  const Stopwatch watch = begin_call();
  const auto result = call();
  const long took = written(result);
  note_stream(id, stream, watch, before + (took > 0 ? took : 0) - pending(stream), took < 0);
  return result;
}
template <typename Call, typename Written>
SIPROF_INLINE auto write_usual(IoCall id, FILE* stream, Call call, Written written) {
  if (!calls_are_timed()) return call();
  if (SIPROF_UNLIKELY(!takes(stream, kUsualBytes))) return timed_write(id, stream, call, written);
  const char* const at = stream->_IO_write_ptr;
  const long before = pending(stream);
  const auto result = call();
  if (SIPROF_LIKELY(stream->_IO_write_ptr >= at)) return result;
  const long took = written(result);
  note_stream(id, stream, begin_call(), before + (took > 0 ? took : 0) - pending(stream), took < 0);
  return result;
}

// got(result): bytes that came out of the stream. At the end of a file the kernel was asked, too.
template <typename Call, typename Got>
SIPROF_APART auto timed_read(IoCall id, FILE* stream, Call call, Got got) {
  const long before = unread(stream);
  const Stopwatch watch = begin_call();
  const auto result = call();
  const long bytes = got(result);
  note_stream(id, stream, watch, (bytes > 0 ? bytes : 0) + unread(stream) - before, bytes <= 0);
  return result;
}
// Of at most `most` bytes.
template <typename Call, typename Got>
SIPROF_INLINE auto read_usual(IoCall id, FILE* stream, unsigned long most, Call call, Got got) {
  if (!calls_are_timed()) return call();
  const unsigned long usual = most < kUsualBytes ? most : kUsualBytes;
  if (SIPROF_UNLIKELY(!holds(stream, usual))) return timed_read(id, stream, call, got);
  const char* const at = stream->_IO_read_ptr;
  const char* const end = stream->_IO_read_end;
  const auto result = call();
  if (SIPROF_LIKELY(stream->_IO_read_ptr >= at && stream->_IO_read_end == end)) return result;
  note_stream(id, stream, begin_call(), got(result) + unread(stream) - (end - at), false);
  return result;
}

long text_bytes(const char* text) {
  return text != nullptr ? static_cast<long>(length(text)) : 0;
}
template <typename Call>
SIPROF_INLINE int print(FILE* stream, Call call) {
  return write_usual(IoCall::k_printf, stream, call, [](int result) { return static_cast<long>(result); });
}
template <typename Call>
SIPROF_INLINE int put(IoCall id, FILE* stream, const char* text, long more, Call call) {
  return write_usual(id, stream, call, [=](int result) { return result < 0 ? -1 : text_bytes(text) + more; });
}
template <typename Call>
SIPROF_INLINE char* get(FILE* stream, int size, Call call) {
  const auto most = static_cast<unsigned long>(size > 1 ? size - 1 : 0);
  return read_usual(IoCall::k_fgets, stream, most, call,
                    [](const char* result) { return text_bytes(result); });
}
template <typename Call>
SIPROF_INLINE ssize_t get_line(FILE* stream, Call call) {
  return read_usual(IoCall::k_getline, stream, kUsualBytes, call, [](ssize_t result) { return result; });
}
template <typename Call>
SIPROF_INLINE size_t put_all(size_t size, size_t count, FILE* stream, Call call) {
  if (!calls_are_timed() || takes(stream, size * count)) return call();
  return timed_write(IoCall::k_fwrite, stream, call,
                     [=](size_t result) { return result < count ? -1 : static_cast<long>(result * size); });
}
template <typename Call>
SIPROF_INLINE size_t get_all(size_t size, size_t count, FILE* stream, Call call) {
  if (!calls_are_timed() || holds(stream, size * count)) return call();
  return timed_read(IoCall::k_fread, stream, call,
                    [=](size_t result) { return static_cast<long>(result * size); });
}
template <typename Call>
SIPROF_INLINE int flush(FILE* stream, Call call) {
  if (!calls_are_timed()) return call();
  if (stream != nullptr) {
    if (pending(stream) == 0) return call();
    return timed_write(IoCall::k_fflush, stream, call, [](int result) { return result < 0 ? -1l : 0l; });
  }
  const Stopwatch watch = begin_call();
  const int result = call();
  note_io(IoCall::k_fflush, kNoDescriptor, watch, 0);  // all streams: nobody says what was in them
  return result;
}

SIPROF_APART size_t slow_fwrite(const void* data, size_t size, size_t count, FILE* stream) {
  return put_all(size, count, stream, [=] { return real::fwrite(data, size, count, stream); });
}
SIPROF_APART size_t slow_fwrite_unlocked(const void* data, size_t size, size_t count, FILE* stream) {
  return put_all(size, count, stream, [=] { return real::fwrite_unlocked(data, size, count, stream); });
}
SIPROF_APART size_t slow_fread(void* data, size_t size, size_t count, FILE* stream) {
  return get_all(size, count, stream, [=] { return real::fread(data, size, count, stream); });
}
SIPROF_APART size_t slow_fread_unlocked(void* data, size_t size, size_t count, FILE* stream) {
  return get_all(size, count, stream, [=] { return real::fread_unlocked(data, size, count, stream); });
}

}  // namespace

// These are the ones that programs call for a few bytes each: what the buffer answers is a jump, without a
// frame.
#define SIPROF_STREAM_CALL(name, data_type, enough)                                             \
  size_t siprof_##name(data_type data, size_t size, size_t count, FILE* stream) {               \
    auto* const next = real::name.known();                                                      \
    if (SIPROF_LIKELY(next != nullptr && (!calls_are_timed() || enough(stream, size * count)))) \
      return next(data, size, count, stream);                                                   \
    return slow_##name(data, size, count, stream);                                              \
  }
SIPROF_STREAM_CALL(fwrite, const void*, takes)
SIPROF_STREAM_CALL(fwrite_unlocked, const void*, takes)
SIPROF_STREAM_CALL(fread, void*, holds)
SIPROF_STREAM_CALL(fread_unlocked, void*, holds)

int siprof_fputs(const char* text, FILE* stream) {
  return put(IoCall::k_fputs, stream, text, 0, [=] { return real::fputs(text, stream); });
}
int siprof_fputs_unlocked(const char* text, FILE* stream) {
  return put(IoCall::k_fputs, stream, text, 0, [=] { return real::fputs_unlocked(text, stream); });
}
int siprof_puts(const char* text) {
  return put(IoCall::k_puts, stdout, text, 1, [=] { return real::puts(text); });
}

size_t siprof___fread_chk(void* data, size_t room, size_t size, size_t count, FILE* stream) {
  return get_all(size, count, stream, [=] { return real::__fread_chk(data, room, size, count, stream); });
}
size_t siprof___fread_unlocked_chk(void* data, size_t room, size_t size, size_t count, FILE* stream) {
  return get_all(size, count, stream,
                 [=] { return real::__fread_unlocked_chk(data, room, size, count, stream); });
}
char* siprof_fgets(char* text, int size, FILE* stream) {
  return get(stream, size, [=] { return real::fgets(text, size, stream); });
}
char* siprof_fgets_unlocked(char* text, int size, FILE* stream) {
  return get(stream, size, [=] { return real::fgets_unlocked(text, size, stream); });
}
char* siprof___fgets_chk(char* text, size_t room, int size, FILE* stream) {
  return get(stream, size, [=] { return real::__fgets_chk(text, room, size, stream); });
}
char* siprof___fgets_unlocked_chk(char* text, size_t room, int size, FILE* stream) {
  return get(stream, size, [=] { return real::__fgets_unlocked_chk(text, room, size, stream); });
}
ssize_t siprof_getline(char** line, size_t* room, FILE* stream) {
  return get_line(stream, [=] { return real::getline(line, room, stream); });
}
ssize_t siprof_getdelim(char** line, size_t* room, int end, FILE* stream) {
  return get_line(stream, [=] { return real::getdelim(line, room, end, stream); });
}
ssize_t siprof___getdelim(char** line, size_t* room, int end, FILE* stream) {
  return get_line(stream, [=] { return real::__getdelim(line, room, end, stream); });
}

// What an interpreter opens its script by.
FILE* siprof_fopen(const char* path, const char* mode) {
  let_python_in();
  return real::fopen(path, mode);
}
FILE* siprof_fopen64(const char* path, const char* mode) {
  let_python_in();
  return real::fopen64(path, mode);
}

int siprof_fflush(FILE* stream) {
  return flush(stream, [=] { return real::fflush(stream); });
}
int siprof_fflush_unlocked(FILE* stream) {
  return flush(stream, [=] { return real::fflush_unlocked(stream); });
}
int siprof_fclose(FILE* stream) {
  if (!calls_are_timed() || stream->_fileno < 0) return real::fclose(stream);
  const long bytes = pending(stream);
  const Stopwatch watch = begin_call();
  const int result = real::fclose(stream);
  note_io(IoCall::k_fclose, kNoDescriptor, watch, bytes);
  return result;
}

int siprof_vfprintf(FILE* stream, const char* format, va_list list) {
  return print(stream, [&] { return real::vfprintf(stream, format, list); });
}
int siprof___vfprintf_chk(FILE* stream, int flag, const char* format, va_list list) {
  return print(stream, [&] { return real::__vfprintf_chk(stream, flag, format, list); });
}
int siprof_vprintf(const char* format, va_list list) {
  return print(stdout, [&] { return real::vprintf(format, list); });
}
int siprof___vprintf_chk(int flag, const char* format, va_list list) {
  return print(stdout, [&] { return real::__vprintf_chk(flag, format, list); });
}
int siprof_fprintf(FILE* stream, const char* format, ...) {
  va_list list;
  va_start(list, format);
  const int result = print(stream, [&] { return real::vfprintf(stream, format, list); });
  va_end(list);
  return result;
}
int siprof___fprintf_chk(FILE* stream, int flag, const char* format, ...) {
  va_list list;
  va_start(list, format);
  const int result = print(stream, [&] { return real::__vfprintf_chk(stream, flag, format, list); });
  va_end(list);
  return result;
}
int siprof_printf(const char* format, ...) {
  va_list list;
  va_start(list, format);
  const int result = print(stdout, [&] { return real::vprintf(format, list); });
  va_end(list);
  return result;
}
int siprof___printf_chk(int flag, const char* format, ...) {
  va_list list;
  va_start(list, format);
  const int result = print(stdout, [&] { return real::__vprintf_chk(flag, format, list); });
  va_end(list);
  return result;
}
