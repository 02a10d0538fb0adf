// SPDX-License-Identifier: Apache-2.0
// A plugin with thread-local storage: copies of it are opened by tls_heavy. HEAVY_TLS asks for the static
// TLS block (which is small and shared), the other build goes through __tls_get_addr, which allocates.
#include <cstring>

#ifdef HEAVY_TLS
#define MODEL [[gnu::tls_model("initial-exec")]]
constexpr int kBytes = 96;
#else
#define MODEL
constexpr int kBytes = 4096;
#endif

MODEL static thread_local char t_block[kBytes];

extern "C" int touch_tls(int value) {
  memset(t_block, value, sizeof t_block);
  return t_block[sizeof t_block - 1];
}
