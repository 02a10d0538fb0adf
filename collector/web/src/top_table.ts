// SPDX-License-Identifier: Apache-2.0
// The hottest functions as a table. A click on a row looks the function up in the flame graph, another one lets go.
import type { Top, TopFunction } from './api.ts';
import { h, icon, update } from './dom.ts';
import { nameParts } from './flame/names.ts';
import type { Pattern } from './flame/search.ts';
import type { Router } from './router.ts';
import type { SortColumn, State } from './state.ts';
import { isNew, topRows, trendOf } from './top_rows.ts';
import { formatPoints, formatShare, formatValue } from './units.ts';

const atFirst = 150; // rows; the rest on request, because thousands of rows make typing a search slow

// Points of change from which on a trend has a colour: below it is mostly noise of sampling.
const worthColor = 0.005;

const columns: { column: SortColumn; title: string; hint: string }[] = [
  { column: 'name', title: 'Function', hint: '' },
  { column: 'self', title: 'Self', hint: 'In the function itself' },
  { column: 'total', title: 'Total', hint: 'In the function and all that it calls' },
  { column: 'trend', title: 'Trend', hint: 'Change of the self share against the range before, in percentage points' },
];

export class TopTable {
  readonly element: HTMLElement;
  private readonly head = h('thead');
  private readonly body = h('tbody');
  private readonly foot = h('div', { class: 'table-foot' });
  private top: Top | null = null;
  private limit = atFirst;
  private widest = { self: 1, total: 1 }; // shares that have the longest bars

  constructor(private readonly router: Router) {
    const table = h(
      'table',
      { class: 'top-table' },
      h('caption', { class: 'visually-hidden' }, 'Hottest functions'),
      this.head,
      this.body,
    );
    this.element = h('div', { class: 'top', tabindex: -1 }, table, this.foot);
  }

  show(top: Top | null, state: State, pattern: Pattern): void {
    if (this.top !== top) this.limit = atFirst;
    this.top = top;
    this.render(state, pattern);
  }

  private render(state: State, pattern: Pattern): void {
    update(this.head, h('tr', {}, ...columns.map((column) => this.heading(column, state))));
    const all = this.top?.functions ?? [];
    this.widest = {
      self: Math.max(...all.map((row) => row.self_share)),
      total: Math.max(...all.map((row) => row.total_share)),
    };
    const rows = topRows(all, pattern, state.search !== '', state.sort, state.descending);
    update(this.body, ...rows.slice(0, this.limit).map((row) => this.row(row, state, pattern)));
    const more = rows.length - this.limit;
    update(
      this.foot,
      more > 0
        ? h(
            'button',
            {
              type: 'button',
              class: 'button small',
              on: {
                click: () => {
                  this.limit = rows.length;
                  this.render(state, pattern);
                },
              },
            },
            `Show ${more} more`,
          )
        : null,
      all.length > 0 && rows.length === 0
        ? h('p', { class: 'note' }, 'No function of this table matches the search.')
        : null,
    );
  }

  private heading({ column, title, hint }: (typeof columns)[number], state: State): HTMLElement {
    const sorted = state.sort === column;
    const descending = sorted ? !state.descending : column !== 'name';
    return h(
      'th',
      {
        scope: 'col',
        class: `col-${column}`,
        'aria-sort': !sorted ? 'none' : state.descending ? 'descending' : 'ascending',
      },
      h(
        'button',
        {
          type: 'button',
          class: 'sort',
          title: hint,
          on: { click: () => this.router.push({ sort: column, descending }) },
        },
        title,
        sorted ? icon(state.descending ? 'down' : 'up') : null,
      ),
    );
  }

  private row(row: TopFunction, state: State, pattern: Pattern): HTMLElement {
    const chosen = state.search === `"${row.name}"` || (pattern.exact && pattern.test(row.name));
    const click = () => this.router.push({ search: chosen ? '' : `"${row.name}"`, regex: false });
    const unit = this.top?.unit ?? 'count';
    const { scope, base, parameters } = nameParts(row.name);
    return h(
      'tr',
      { class: chosen ? 'chosen' : '', 'data-key': row.name, on: { click } },
      h(
        'th',
        { scope: 'row', class: 'col-name' },
        h(
          'button',
          {
            type: 'button',
            class: 'function',
            'aria-pressed': String(chosen),
            title: row.file ? `${row.name}\n${row.file}` : row.name,
          },
          h('span', { class: 'scope' }, scope),
          h('span', { class: 'base' }, base),
          h('span', { class: 'parameters' }, parameters),
        ),
      ),
      measure('col-self', row.self, row.self_share, unit, this.widest.self),
      measure('col-total', row.total, row.total_share, unit, this.widest.total),
      trend(row),
    );
  }
}

function measure(className: string, value: number, share: number, unit: string, widest: number): HTMLElement {
  const bar = h('span', { class: 'bar', 'aria-hidden': 'true' });
  bar.style.width = `${(84 * share) / (widest || 1)}%`;
  return h(
    'td',
    { class: className },
    bar,
    h('span', { class: 'value' }, formatValue(value, unit)),
    h('span', { class: 'share' }, formatShare(share)),
  );
}

function trend(row: TopFunction): HTMLElement {
  const change = trendOf(row);
  if (change === null || !row.before)
    return h('td', { class: 'col-trend even', title: 'Nothing was recorded in the range before' }, '–');
  const was =
    `Self ${formatShare(row.before.self_share)} → ${formatShare(row.self_share)}, ` +
    `total ${formatShare(row.before.total_share)} → ${formatShare(row.total_share)}`;
  if (isNew(row)) return h('td', { class: 'col-trend worse', title: was }, 'new');
  const shown = formatPoints(change);
  const how = Math.abs(change) < worthColor ? 'even' : change > 0 ? 'worse' : 'better';
  return h(
    'td',
    { class: `col-trend ${how}`, title: was },
    how === 'even' ? null : icon(change > 0 ? 'up' : 'down'),
    shown,
  );
}
