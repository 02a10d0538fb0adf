// SPDX-License-Identifier: Apache-2.0
// Layout, hit test, paths and search of the flame graph, on a tree that fits the eye:
//   root 100: main 90 (a 50 (b 20), c 30), b 10 (main 4)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlameGraph } from '../../collector/web/src/api.ts';
import { boxOf, hit, rowHeight, type Picture } from '../../collector/web/src/flame/draw.ts';
import { buildLayout, firstInRow, isAncestor, nodeAt, pathTo, rowCount } from '../../collector/web/src/flame/layout.ts';
import { flameColors } from '../../collector/web/src/flame/palette.ts';
import { findPath, pathKey } from '../../collector/web/src/flame/path_key.ts';
import { findMatches, makePattern } from '../../collector/web/src/flame/search.ts';
import { walk } from '../../collector/web/src/flame/walk.ts';

function tree(): FlameGraph {
  return {
    service: 's',
    kind: 'cpu',
    type: 'cpu',
    unit: 'nanoseconds',
    from: 0,
    to: 1,
    total: 100,
    profiles: 1,
    nodes_in_all: 7,
    names: ['s', 'main', 'a', 'b', 'c'],
    files: [''],
    nodes: {
      name: [0, 1, 2, 3, 4, 3, 1],
      file: [0, 0, 0, 0, 0, 0, 0],
      parent: [-1, 0, 1, 2, 1, 0, 5],
      self: [0, 10, 30, 20, 30, 6, 4],
      total: [100, 90, 50, 20, 30, 10, 4],
    },
  };
}

function picture(zoom: number): Picture {
  return {
    layout: buildLayout(tree()),
    zoom,
    width: 1000,
    height: 200,
    scrollTop: 0,
    ratio: 1,
    colors: flameColors.light,
    fills: [],
    matched: null,
  };
}

test('children start where their parent does, one after the other', () => {
  const layout = buildLayout(tree());
  assert.deepEqual([...layout.start], [0, 0, 0, 0, 50, 90, 90]);
  assert.deepEqual([...layout.row], [0, 1, 2, 3, 2, 1, 2]);
  assert.equal(rowCount(layout), 4);
  assert.deepEqual([...layout.rowNodes], [0, 1, 5, 2, 4, 6, 3]);
});

test('a malformed answer is refused, not drawn', () => {
  const cycle = tree();
  cycle.nodes.parent[2] = 4;
  assert.throws(() => buildLayout(cycle), /before its parent/);
  const short = tree();
  short.nodes.total.pop();
  assert.throws(() => buildLayout(short), /differ in length/);
});

test('a value in a row finds its node, a gap finds none', () => {
  const layout = buildLayout(tree());
  assert.equal(nodeAt(layout, 2, 49.9), 2);
  assert.equal(nodeAt(layout, 2, 50), 4);
  assert.equal(nodeAt(layout, 2, 85), -1);
  assert.equal(nodeAt(layout, 2, 93), 6);
  assert.equal(nodeAt(layout, 9, 0), -1);
  assert.equal(firstInRow(layout, 2, 80), 5);
});

test('the pointer finds the box that is painted under it', () => {
  const whole = picture(0);
  assert.equal(hit(whole, 10, rowHeight * 1.5), 1);
  assert.equal(hit(whole, 950, rowHeight * 1.5), 5);
  assert.equal(hit(whole, 999, rowHeight * 2.5), -1);
  const zoomed = picture(2);
  assert.equal(hit(zoomed, 999, rowHeight * 0.5), 0);
  assert.equal(hit(zoomed, 999, rowHeight * 1.5), 1);
  assert.equal(hit(zoomed, 999, rowHeight * 2.5), 2);
  assert.equal(hit(zoomed, 100, rowHeight * 3.5), 3);
  assert.equal(hit({ ...zoomed, scrollTop: 2 * rowHeight }, 100, rowHeight * 1.5), 3);
  assert.deepEqual(boxOf(zoomed, 3), { x: 0, y: 3 * rowHeight, width: 400 });
});

test('a path is found again in another graph, though its index differs', () => {
  const layout = buildLayout(tree());
  const key = pathKey(layout, 3);
  const other = tree();
  other.nodes = {
    name: [0, 3, 1, 2, 3],
    file: [0, 0, 0, 0, 0],
    parent: [-1, 0, 0, 2, 3],
    self: [0, 9, 0, 0, 5],
    total: [14, 9, 5, 5, 5],
  };
  assert.equal(findPath(buildLayout(other), key), 4);
  assert.equal(findPath(layout, ''), 0);
  assert.equal(findPath(layout, 'nothing'), -1);
  const keys = new Set(Array.from({ length: 7 }, (_, node) => pathKey(layout, node)));
  assert.equal(keys.size, 7);
});

test('paths and ancestors', () => {
  const layout = buildLayout(tree());
  assert.deepEqual(pathTo(layout, 3), [0, 1, 2, 3]);
  assert.ok(isAncestor(layout, 1, 3));
  assert.ok(!isAncestor(layout, 5, 3));
});

test('a match below another match counts once', () => {
  const layout = buildLayout(tree());
  assert.deepEqual(findMatches(layout, makePattern('main', false)).hits, [1, 6]);
  assert.equal(findMatches(layout, makePattern('main', false)).total, 94);
  assert.equal(findMatches(layout, makePattern('^(main|b)$', true)).total, 100);
  assert.equal(findMatches(layout, makePattern('B', false)).total, 30);
});

test('quotes mean the whole name, a broken expression says why', () => {
  assert.ok(!makePattern('"mai"', false).test('main'));
  assert.ok(makePattern('"main"', false).test('main'));
  assert.ok(makePattern('"main"', false).exact);
  const broken = makePattern('(', true);
  assert.equal(broken.error, 'Not a regular expression: Unterminated group');
  assert.ok(!broken.test('('));
});

test('the service at the root is no function', () => {
  assert.equal(findMatches(buildLayout(tree()), makePattern('s', false)).total, 0);
});

test('arrow keys walk to caller, largest callee and neighbours', () => {
  const layout = buildLayout(tree());
  assert.equal(walk(layout, 3, 'ArrowUp'), 2);
  assert.equal(walk(layout, 1, 'ArrowDown'), 2);
  assert.equal(walk(layout, 3, 'ArrowDown'), 3);
  assert.equal(walk(layout, 4, 'ArrowRight'), 6);
  assert.equal(walk(layout, 4, 'ArrowLeft'), 2);
  assert.equal(walk(layout, 2, 'ArrowLeft'), 2);
  assert.equal(walk(layout, 0, 'ArrowUp'), 0);
});
