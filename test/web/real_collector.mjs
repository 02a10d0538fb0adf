// SPDX-License-Identifier: Apache-2.0
// A siprof-collector on ports that the kernel picks, with a store of its own and a quarter of an hour of three
// services in it, sent over gRPC by test/bench's simulated agents.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const startMs = 20_000;

// The two lines that scripts read; rejects when the collector ends or says nothing.
function addresses(collector) {
  return new Promise((resolve, reject) => {
    let log = '';
    const late = setTimeout(() => reject(new Error(`the collector does not start: ${log}`)), startMs);
    collector.on('exit', (status) => reject(new Error(`the collector ended with ${status}: ${log}`)));
    collector.stderr.on('data', (bytes) => {
      log += bytes;
      const found = /dashboard (\S+)\n.*grpc (\S+)\n/.exec(log);
      if (!found) return;
      clearTimeout(late);
      resolve({ url: found[1], grpc: found[2] });
    });
  });
}

async function seed(loadProgram, target) {
  const options = { agents: 6, services: 3, past: 900, seconds: 0, window: 20, metrics: 2 };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const load = spawn(loadProgram, ['--target', target, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  load.stderr.on('data', (bytes) => {
    errors += bytes;
  });
  const [status] = await once(load, 'close');
  assert.equal(status, 0, `sending the history: ${errors}`);
}

export async function startCollector(program, loadProgram) {
  assert.ok(program && loadProgram, 'give the paths of siprof-collector and collector_load');
  const folder = mkdtempSync(join(tmpdir(), 'siprof-web-collector-'));
  const collector = spawn(program, ['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0', '--store', join(folder, 'store')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const close = async () => {
    if (collector.exitCode === null && collector.kill()) await once(collector, 'exit');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { url, grpc } = await addresses(collector);
    await seed(loadProgram, grpc);
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
