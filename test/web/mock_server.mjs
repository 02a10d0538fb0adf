// SPDX-License-Identifier: Apache-2.0
// Serves the built dashboard and the answers of fake_data.mjs, as siprof-collector would: same paths, same
// headers, same refusals (unknown parameters are an error). `mode` decides what kind of collector it plays.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { flame, labels, metricHistory, metrics, noise, nowS, services, top, treeOf, units } from './fake_data.mjs';

const known = {
  services: [],
  labels: ['service', 'from', 'to'],
  series: ['service', 'kind', 'type', 'from', 'to', 'match', 'step', 'by'],
  flame: ['service', 'kind', 'type', 'from', 'to', 'match', 'nodes', 'labels'],
  top: ['service', 'kind', 'type', 'from', 'to', 'match', 'limit', 'sort'],
  profile: ['service', 'kind', 'from', 'to', 'match'],
  metrics: ['service', 'name', 'from', 'to', 'match', 'step', 'by'],
};

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

function time(text, fallback) {
  if (!text) return fallback;
  const ago = /^now(?:-(\d+)([smhd]))?$/.exec(text);
  if (ago) return nowS() - (ago[1] ? ago[1] * { s: 1, m: 60, h: 3600, d: 86400 }[ago[2]] : 0);
  if (!/^\d+(\.\d+)?$/.test(text))
    throw new Refusal(400, 'invalid_argument', `from or to '${text}' is no time; write unix seconds or now-15m`);
  return Number(text);
}

function head(params) {
  const type = params.get('type') ?? 'cpu';
  return {
    service: params.get('service'),
    kind: params.get('kind') ?? 'cpu',
    type,
    unit: units[type],
    from: time(params.get('from'), nowS() - 3600),
    to: time(params.get('to'), nowS()),
  };
}

// Traffic by the time of day, and a release 20 minutes ago that made it worse.
function load(at, line) {
  const day = 1.4 + 0.6 * Math.sin((at / 86400) * 2 * Math.PI) + 0.25 * Math.sin(at / 700 + line);
  const worse = at > nowS() - 1200 ? 1.35 : 1;
  return day * worse * (0.9 + 0.2 * noise(at / 10 + line * 17)) * (1 - line * 0.25);
}

function series(params) {
  const about = head(params);
  const step = Number(params.get('step')) || Math.max(10, Math.ceil((about.to - about.from) / 300 / 10) * 10);
  const scale =
    { nanoseconds: 1e9 * step, bytes: 3e6 * step, count: 100 * step }[about.unit] *
    (about.type.startsWith('inuse') ? 40 / step : 1);
  const times = [];
  for (let at = Math.floor(about.from / step) * step; at < about.to; at += step) times.push(at);
  const by = params.get('by');
  const lines = by ? (labels[by] ?? []) : [''];
  const values = lines.map((label, line) => ({
    label,
    values: times.map((at) =>
      Math.round(load(at, line) * scale * ((Math.min(at + step, about.to) - Math.max(at, about.from)) / step)),
    ),
  }));
  return {
    ...about,
    step,
    times,
    series: values.map((one) => ({
      label: one.label,
      total: one.values.reduce((a, b) => a + b, 0),
      values: one.values,
    })),
  };
}

function runtimeMetrics(params) {
  const { service, from, to } = head(params);
  const sent = service === 'checkout-api' && !params.getAll('match').includes('host.name=web-3') ? metrics : [];
  if (!params.has('name')) return { service, from, to, metrics: sent };
  const metric = metrics.find(({ name }) => name === params.get('name'));
  if (!metric) throw new Refusal(400, 'invalid_argument', `parameter name: write one of ${metrics.map(({ name }) => name).join(', ')}`);
  const step = Number(params.get('step')) || Math.max(10, Math.ceil((to - from) / 300 / 10) * 10);
  const times = [];
  for (let at = Math.floor(from / step) * step; at < to; at += step) times.push(at);
  return metricHistory({ service, from, to, step, times }, metric, params.get('by'), load);
}

function graph(params, mode) {
  const about = head(params);
  const tree = params.getAll('match').includes('host.name=web-3') ? [] : treeOf(mode);
  const plain = new URLSearchParams([...params].filter(([name]) => name !== 'by'));
  const { values } = series(plain).series[0];
  const sum = values.reduce((a, b) => a + b, 0);
  // What the timeline shows is what the graph is made of.
  const all = about.type.startsWith('inuse') ? sum / values.length : sum;
  const per = tree.length ? all / flame('', tree, 1).total : 0;
  return {
    ...about,
    profiles: tree.length ? Math.ceil((about.to - about.from) / 10) * 3 : 0,
    ...flame(about.service, tree, per),
  };
}

function answer(path, params, mode) {
  const [name, label] = path.split('/');
  if (!(name in known)) throw new Refusal(404, 'not_found', `no such path: /api/v1/${path}`);
  for (const one of params.keys()) {
    if (!known[name].includes(one))
      throw new Refusal(400, 'invalid_argument', `unknown parameter '${one}'; known: ${known[name].join(', ')}`);
  }
  if (name === 'services') return { services: mode === 'empty' ? [] : services() };
  if (name === 'labels') return label ? { label, values: labels[label] ?? [] } : { labels: Object.keys(labels) };
  if (mode === 'broken') throw new Refusal(503, 'unavailable', 'the store is being repaired; try again in a minute');
  if (!services().some(({ service }) => service === params.get('service')))
    throw new Refusal(404, 'not_found', 'no such service');
  if (name === 'series') return series(params);
  if (name === 'metrics') return runtimeMetrics(params);
  const tree = graph(params, mode);
  if (name === 'flame') return tree;
  const functions = top(tree).sort((a, b) => b[params.get('sort') ?? 'self'] - a[params.get('sort') ?? 'self']);
  const { names: _, files: __, nodes: ___, profiles: ____, nodes_in_all: _____, ...about } = tree;
  return { ...about, functions: functions.slice(0, Number(params.get('limit') ?? 100)) };
}

export async function startServer(manifestPath) {
  const { policy, assets } = JSON.parse(readFileSync(manifestPath, 'utf8'));
  const dist = join(dirname(manifestPath), 'dist');
  const self = { mode: 'normal', token: '', delayMs: 0, requests: [], url: '', close: () => {} };
  const json = (response, status, body) =>
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  // As a server does that dies in the middle of an answer.
  function breakOff(response, data) {
    const text = JSON.stringify(data);
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
    response.write(text.slice(0, text.length / 2), () => setTimeout(() => response.destroy(), 50));
  }

  function serve(request, response, body) {
    const url = new URL(request.url, 'http://localhost');
    self.requests.push(url.pathname + url.search);
    const asset = assets.find(({ path }) => path === url.pathname);
    if (asset) {
      return response
        .writeHead(200, {
          'Content-Type': asset.type,
          'Content-Security-Policy': policy,
          'X-Content-Type-Options': 'nosniff',
          'Cache-Control': asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
        })
        .end(readFileSync(join(dist, asset.file)));
    }
    try {
      if (url.pathname === '/login') {
        if (new URLSearchParams(body).get('token') !== self.token)
          throw new Refusal(401, 'unauthenticated', 'unknown token');
        return response.writeHead(204, { 'Set-Cookie': `siprof_token=${self.token}; HttpOnly; SameSite=Strict` }).end();
      }
      const known =
        request.headers.cookie?.includes(`siprof_token=${self.token}`) ||
        request.headers.authorization === `Bearer ${self.token}`;
      if (self.token && !known) throw new Refusal(401, 'unauthenticated', 'send a token');
      if (!url.pathname.startsWith('/api/v1/')) throw new Refusal(404, 'not_found', 'no such path');
      if (url.pathname === '/api/v1/profile')
        return response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(gzipSync('a profile'));
      const data = answer(decodeURIComponent(url.pathname.slice(8)), url.searchParams, self.mode);
      if (self.mode === 'cut') return breakOff(response, data);
      return json(response, 200, data);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return json(response, error.status, { error: { code: error.code, message: error.message } });
    }
  }

  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => setTimeout(() => serve(request, response, body), self.delayMs));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  self.url = `http://127.0.0.1:${server.address().port}`;
  self.close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return self;
}
