// SPDX-License-Identifier: Apache-2.0
// Answers of the HTTP API for the browser tests: a made-up shop, the same on every run. Consistent with itself:
// /top is summed from the tree that /flame answers.

const kinds = [
  { kind: 'cpu', default_type: 'cpu', types: [{ type: 'samples', unit: 'count' }, { type: 'cpu', unit: 'nanoseconds' }] },
  { kind: 'heap', default_type: 'inuse_space', types: [{ type: 'alloc_objects', unit: 'count' }, { type: 'alloc_space', unit: 'bytes' },
    { type: 'inuse_objects', unit: 'count' }, { type: 'inuse_space', unit: 'bytes' }] },
  { kind: 'lock', default_type: 'delay', types: [{ type: 'contentions', unit: 'count' }, { type: 'delay', unit: 'nanoseconds' }] },
  { kind: 'io', default_type: 'delay', types: [{ type: 'contentions', unit: 'count' }, { type: 'delay', unit: 'nanoseconds' }, { type: 'bytes', unit: 'bytes' }] },
  { kind: 'errors', default_type: 'exceptions', types: [{ type: 'exceptions', unit: 'count' }] },
];
const names = ['checkout-api', 'image-resizer', 'ingest-worker', 'nginx', 'postgres', 'redis-server'];
export const labels = {
  'deployment.environment.name': ['production', 'staging'],
  'host.name': ['web-1', 'web-2', 'web-3'],
  'process.runtime.version': ['3.11.2'],
  'service.version': ['2.4.0', '2.4.1'],
};

export const nowS = () => Math.floor(Date.now() / 1000);

export function services() {
  return names.map((service, at) => ({ service, first: nowS() - 14 * 86400, last: nowS() - (at === 0 ? 4 : 20 + at * 7),
    kinds: at === 0 ? kinds : kinds.slice(0, 2), versions: labels['service.version'], hosts: labels['host.name'] }));
}

// A pseudo-random number in [0, 1) that a number decides.
export function noise(seed) {
  const x = Math.sin(seed * 127.1 + 11.7) * 43758.5453;
  return x - Math.floor(x);
}

const py = (name, file, weight, ...children) => ({ name, file: `/srv/shop/${file}`, weight, children });
const cc = (name, file, weight, ...children) => ({ name, file: file && `/usr/src/${file}`, weight, children });

const price = cc('pricing::PriceEngine::evaluate(pricing::Cart const&, pricing::Rules const&) const', 'pricing/engine.cpp', 6,
  cc('pricing::RuleSet::match(std::basic_string_view<char, std::char_traits<char> >) const', 'pricing/rules.cpp', 5,
    cc('std::_Hashtable<std::string, std::pair<std::string const, pricing::Rule>, std::allocator<std::pair<std::string const, pricing::Rule> > >::find(std::string const&)', 'c++/12/bits/hashtable.h', 7,
      cc('std::_Hash_bytes(void const*, unsigned long, unsigned long)', '', 9), cc('__memcmp_avx2_movbe', '', 4)),
    cc('re2::RE2::Match(absl::string_view, unsigned long, unsigned long, re2::RE2::Anchor, absl::string_view*, int) const', 're2/re2.cc', 2,
      cc('re2::DFA::InlinedSearchLoop(re2::DFA::SearchParams*, bool, bool, bool)', 're2/dfa.cc', 11), cc('re2::DFA::RunStateOnByte(re2::DFA::State*, int)', 're2/dfa.cc', 3))),
  cc('pricing::discount(pricing::Money, double)', 'pricing/discount.cpp', 8),
  cc('operator new(unsigned long)', '', 1, cc('malloc', '', 4, cc('_int_malloc', '', 5, cc('malloc_consolidate', '', 2)))));
const json = py('json.encoder.JSONEncoder.iterencode', 'json/encoder.py', 5,
  py('json.encoder._make_iterencode.<locals>._iterencode_dict', 'json/encoder.py', 9, py('shop.models.Money.__str__', 'models.py', 6), cc('PyUnicode_FromFormatV', '', 3)));
const query = py('sqlalchemy.engine.base.Connection.execute', 'sqlalchemy/engine/base.py', 3,
  py('sqlalchemy.sql.compiler.SQLCompiler.visit_select', 'sqlalchemy/sql/compiler.py', 5, py('sqlalchemy.sql.compiler.SQLCompiler.visit_column', 'sqlalchemy/sql/compiler.py', 6),
    py('sqlalchemy.sql.visitors.traverse', 'sqlalchemy/sql/visitors.py', 4)),
  cc('pq_exec(connectionObject*, char const*)', 'psycopg/pqpath.c', 2, cc('PQexec', '', 1, cc('pqReadData', '', 2, cc('ssl3_read_bytes', '', 1, cc('aesni_ctr32_encrypt_blocks', '', 5)))),
    cc('typecast_parse(char const*, long)', 'psycopg/typecast.c', 4)),
  py('shop.models.Product.__init__', 'models.py', 4, py('shop.models.Money.__init__', 'models.py', 3)));
const shop = [
  cc('_start', '', 0, cc('main', 'gunicorn/main.c', 0, py('gunicorn.workers.base.Worker.run', 'gunicorn/workers/base.py', 1,
    py('flask.app.Flask.wsgi_app', 'flask/app.py', 2, py('flask.app.Flask.full_dispatch_request', 'flask/app.py', 3,
      py('shop.views.checkout', 'views.py', 4, py('shop.cart.Cart.total', 'cart.py', 3, price), query, json,
        py('shop.tax.rate_for', 'tax.py', 7, py('decimal.Decimal.quantize', 'decimal.py', 5))),
      py('shop.views.search', 'views.py', 2, py('shop.search.rank', 'search.py', 6, cc('search::Index::score(search::Query const&, unsigned int) const', 'search/index.cpp', 15, cc('search::bm25(float, float, float)', 'search/bm25.cpp', 8), cc('_mm256_fmadd_ps', '', 4))), query),
      py('shop.views.product_page', 'views.py', 1, py('jinja2.environment.Template.render', 'jinja2/environment.py', 2, py('jinja2.runtime.Context.call', 'jinja2/runtime.py', 5, py('markupsafe.escape', 'markupsafe/__init__.py', 6)))))),
    py('gunicorn.http.parser.Parser.__next__', 'gunicorn/http/parser.py', 3)))),
  cc('clone3', '', 0, cc('start_thread', '', 0, cc('metrics::Flusher::run()', 'metrics/flusher.cpp', 1, cc('metrics::Histogram::merge(metrics::Histogram const&)', 'metrics/histogram.cpp', 4), cc('deflate_fast', '', 5)),
    cc('cache::Evictor::sweep(std::chrono::time_point<std::chrono::_V2::steady_clock, std::chrono::duration<long, std::ratio<1, 1000000000> > >)', 'cache/evictor.cpp', 3, cc('cache::Shard::drop_expired()', 'cache/shard.cpp', 6, cc('free', '', 3))))),
];

// 50 rows of about 1000 boxes, each wider than half a pixel of a wide window: nothing can be left out.
function bigTree(count) {
  const chains = [];
  for (let made = 1; made < count;) {
    let below = [];
    for (let depth = 0; depth < 50 && made < count; ++depth, ++made) {
      below = [{ name: `generated::stage_${made % 900}(int)`, file: `/usr/src/generated/${made % 40}.cpp`, weight: depth === 0 ? 1 : 0, children: below }];
    }
    chains.push(...below);
  }
  return chains;
}

const hostile = [cc('<img src=x onerror="document.title=\'owned\'">', '<b>file</b>', 5, cc('"><script>document.title="owned"</script>', '', 4)), cc('main', 'x.cpp', 3)];

export function treeOf(mode) {
  return mode === 'huge' ? bigTree(50000) : mode === 'hostile' ? hostile : shop;
}

export const units = { samples: 'count', cpu: 'nanoseconds', delay: 'nanoseconds', bytes: 'bytes', contentions: 'count', exceptions: 'count',
  alloc_objects: 'count', alloc_space: 'bytes', inuse_objects: 'count', inuse_space: 'bytes' };

export function flame(service, tree, per) {
  const nodes = { name: [], file: [], parent: [], self: [], total: [] };
  const tables = { names: new Map(), files: new Map([['', 0]]) };
  const index = (table, text) => (table.has(text) ? table.get(text) : table.set(text, table.size).size - 1);
  const weigh = (node) => (node.sum ??= node.weight + node.children.reduce((sum, child) => sum + weigh(child), 0));
  const put = (name, file, parent, self, children) => {
    const at = nodes.name.length;
    nodes.name.push(index(tables.names, name));
    nodes.file.push(index(tables.files, file));
    nodes.parent.push(parent);
    nodes.self.push(Math.round(self * per));
    nodes.total.push(Math.round((self + children.reduce((sum, child) => sum + weigh(child), 0)) * per));
    for (const child of [...children].sort((a, b) => weigh(b) - weigh(a))) put(child.name, child.file, at, child.weight, child.children);
  };
  put(service, '', -1, 0, tree);
  return { total: nodes.total[0], nodes_in_all: nodes.name.length, names: [...tables.names.keys()], files: [...tables.files.keys()], nodes };
}

// Self by name; total counts a stack once however often the name is in it.
export function top(graph) {
  const { name, parent, self, total, file } = graph.nodes;
  const rows = new Map();
  const repeats = (node) => {
    for (let at = parent[node]; at > 0; at = parent[at]) if (name[at] === name[node]) return true;
    return false;
  };
  for (let node = 1; node < name.length; ++node) {
    const text = graph.names[name[node]];
    const row = rows.get(text) ?? rows.set(text, { name: text, file: graph.files[file[node]], self: 0, total: 0 }).get(text);
    row.self += self[node];
    if (!repeats(node)) row.total += total[node];
  }
  return [...rows.values()].map((row, at) => {
    const self_share = row.self / graph.total;
    const total_share = row.total / graph.total;
    const drift = at % 23 === 7 ? 0 : 1 + (noise(at + 3) - 0.5) * 0.5;
    return { ...row, self_share, total_share, before: { self_share: self_share * drift, total_share: total_share * drift } };
  });
}

const gauge = (name, unit) => ({ name, unit, type: 'gauge' });
const counter = (name, unit) => ({ name, unit, type: 'counter' });

// What the shop's first service sends; the others send none.
export const metrics = [
  gauge('container.cpu.limit', '{cpu}'),
  gauge('container.memory.limit', 'By'),
  counter('cpython.gc.collections', '{collection}'),
  counter('process.context_switches', '{context_switch}'),
  counter('process.cpu.time', 's'),
  gauge('process.cpu.utilization', '1'),
  counter('process.disk.io', 'By'),
  gauge('process.memory.usage', 'By'),
  gauge('process.memory.virtual', 'By'),
  counter('process.paging.faults', '{fault}'),
  gauge('process.thread.count', '{thread}'),
  gauge('process.unix.file_descriptor.count', '{file_descriptor}'),
  gauge('queue.depth', '{job}'),
];

// Lines by label and how large they are: a level, or the increase a second.
const lines = {
  'container.cpu.limit': { '': 4 },
  'container.memory.limit': { '': 2 * 2 ** 30 },
  'cpython.gc.collections': { 0: 6, 1: 0.5, 2: 0.02 },
  'process.context_switches': { voluntary: 2400, involuntary: 310 },
  'process.cpu.time': { user: 1.6, system: 0.35 },
  'process.cpu.utilization': { user: 0.2, system: 0.04 },
  'process.disk.io': { read: 6.5e6, write: 1.4e6 },
  'process.memory.usage': { '': 9.4e8 },
  'process.memory.virtual': { '': 4e9 },
  'process.paging.faults': { minor: 900, major: 0.4 },
  'process.thread.count': { '': 42 },
  'process.unix.file_descriptor.count': { '': 187 },
  'queue.depth': { '': 3 },
};

// `by` splits where it is asked for, else all is one line. Limits stand still.
export function metricHistory(about, metric, by, load) {
  const known = Object.entries(lines[metric.name]);
  const wanted = by ? known : [['', known.reduce((sum, [, size]) => sum + size, 0)]];
  const still = metric.name.endsWith('.limit');
  const series = wanted.map(([label, size], line) => {
    const levels = about.times.map((at) => (still ? size : size * (0.6 + 0.4 * load(at, line))));
    if (metric.type === 'gauge') {
      const peaks = levels.map((value, at) => (still ? value : value * (1.05 + 0.3 * noise(about.times[at] / 10 + line))));
      return { label, total: levels.reduce((a, b) => a + b, 0) / levels.length, values: levels, max: peaks };
    }
    const sums = levels.map((value) => value * about.step);
    return { label, total: sums.reduce((a, b) => a + b, 0), values: sums, rate: levels };
  });
  return { ...metric, ...about, series };
}
