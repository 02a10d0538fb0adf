// SPDX-License-Identifier: Apache-2.0
// Short forms of names, labels that fit, colours that can be read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabelFitter } from '../../collector/web/src/flame/labels.ts';
import { forms, nameParts } from '../../collector/web/src/flame/names.ts';
import { fillsOf, flameColors, type FlameColors } from '../../collector/web/src/flame/palette.ts';

test('parameters go first, then template arguments, then the scope', () => {
  assert.deepEqual(forms('std::vector<int, std::allocator<int> >::push_back(int const&)'), [
    'std::vector<int, std::allocator<int> >::push_back(int const&)',
    'std::vector<int, std::allocator<int> >::push_back',
    'std::vector::push_back',
    'push_back',
  ]);
  assert.deepEqual(forms('Cart::total() const'), ['Cart::total() const', 'Cart::total', 'total']);
  assert.deepEqual(forms('main'), ['main']);
});

test('operators, lambdas and anonymous namespaces keep their brackets', () => {
  assert.deepEqual(forms('operator<<(std::ostream&, X const&)'), ['operator<<(std::ostream&, X const&)', 'operator<<']);
  assert.deepEqual(forms('F::operator()(int) const'), ['F::operator()(int) const', 'F::operator()', 'operator()']);
  assert.deepEqual(forms('S::operator->() const'), ['S::operator->() const', 'S::operator->', 'operator->']);
  assert.deepEqual(forms('(anonymous namespace)::go(int)'), [
    '(anonymous namespace)::go(int)',
    '(anonymous namespace)::go',
    'go',
  ]);
  assert.deepEqual(forms('run()::{lambda(int)#1}::operator()(int) const').slice(-2), [
    'run()::{lambda(int)#1}::operator()',
    'operator()',
  ]);
});

test('Python names shorten at the dots and keep <locals>', () => {
  assert.deepEqual(forms('json.encoder.make.<locals>.iterencode'), [
    'json.encoder.make.<locals>.iterencode',
    'iterencode',
  ]);
  assert.deepEqual(forms('shop.<lambda>'), ['shop.<lambda>', '<lambda>']);
});

test('odd names never become empty', () => {
  for (const name of ['(other)', '<unknown>', '()', '<<<', 'a<b', '>', '::', '[vdso]', '0x7f00', 'f(', '"><script>']) {
    const all = forms(name);
    assert.equal(all[0], name);
    assert.ok(
      all.every((form) => form !== ''),
      name,
    );
  }
});

test('the parts of a name put together are the name without template arguments', () => {
  assert.deepEqual(nameParts('a::B<int>::f(int) const'), { scope: 'a::B::', base: 'f', parameters: '(int) const' });
  assert.deepEqual(nameParts('shop.cart.total'), { scope: 'shop.cart.', base: 'total', parameters: '' });
});

test('the longest form that fits is the label, else the shortest is cut', () => {
  const fitter = new LabelFitter((text) => text.length * 10);
  assert.equal(fitter.fit('a::begin(int)', 200), 'a::begin(int)');
  assert.equal(fitter.fit('a::begin(int)', 90), 'a::begin');
  assert.equal(fitter.fit('a::begin(int)', 55), 'begin');
  assert.equal(fitter.fit('a::begin(int)', 40), 'beg…');
  assert.equal(fitter.fit('a::begin(int)', 20), '');
});

function luminance(color: string): number {
  const [r, g, b] = [1, 3, 5]
    .map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

test('every label of a flame graph can be read in both themes', () => {
  for (const colors of Object.values(flameColors) as FlameColors[]) {
    for (const fill of [...colors.fills, colors.root]) assert.ok(contrast(fill, colors.text) >= 6, fill);
    assert.ok(contrast(colors.match, colors.matchText) >= 6);
    assert.ok(contrast(colors.dimmed, colors.dimmedText) >= 4.5);
    assert.ok(contrast(colors.other, colors.otherText) >= 4.5);
  }
});

test('a function has one colour, (other) is grey', () => {
  const colors = flameColors.light;
  const [first, other, again] = fillsOf(['burn()', '(other)', 'burn()'], colors);
  assert.equal(first, again);
  assert.equal(other, colors.other);
  const used = new Set(
    fillsOf(
      Array.from({ length: 500 }, (_, at) => `function_${at}()`),
      colors,
    ),
  );
  assert.equal(used.size, colors.fills.length);
});
