// SPDX-License-Identifier: Apache-2.0
// Writes the C++ source behind assets.h: each file gzip'd, as a string literal.
import { gzipSync } from 'node:zlib';

// Octal escapes of exactly three digits cannot swallow a digit that follows.
function literal(bytes) {
  let lines = '';
  for (let start = 0; start < bytes.length; start += 32) {
    let line = '';
    for (const byte of bytes.subarray(start, start + 32)) line += `\\${byte.toString(8).padStart(3, '0')}`;
    lines += `    "${line}"\n`;
  }
  return lines;
}

export function embed(assets, policy) {
  let bodies = '';
  let rows = '';
  assets.forEach((asset, index) => {
    const packed = gzipSync(asset.body, { level: 9 });
    bodies += `constexpr std::string_view kBody${index}(\n${literal(packed)}    , ${packed.length});\n\n`;
    rows += `    Asset{"${asset.path}", "${asset.type}", kBody${index}, ${asset.immutable}},\n`;
  });
  return `// SPDX-License-Identifier: Apache-2.0
// Written by collector/web/build.mjs from collector/web/src.
#include "collector/web/assets.h"

namespace siprof::collector {
namespace {

${bodies}constexpr Asset kAssets[] = {
${rows}};

}  // namespace

std::span<const Asset> assets() { return kAssets; }

std::string_view content_security_policy() { return ${JSON.stringify(policy)}; }

}  // namespace siprof::collector
`;
}
