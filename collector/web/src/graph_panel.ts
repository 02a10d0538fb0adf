// SPDX-License-Identifier: Apache-2.0
// The lower half of the page: flame graph and top table side by side or alone, the search over both.
import type { FlameGraph, Top } from './api.ts';
import { allCounters, collectionFacts } from './collection.ts';
import { fill, h, update } from './dom.ts';
import { makePattern, noPattern, type Pattern } from './flame/search.ts';
import { FlameView } from './flame/view.ts';
import type { Router } from './router.ts';
import { SearchBar } from './search_bar.ts';
import type { State, View } from './state.ts';
import { TopTable } from './top_table.ts';
import { formatValue, isLevel } from './units.ts';

const views: [View, string][] = [
  ['top', 'Top table'],
  ['both', 'Both'],
  ['flame', 'Flame graph'],
];

export class GraphPanel {
  readonly element: HTMLElement;
  readonly search: SearchBar;
  readonly flame: FlameView;
  private readonly table: TopTable;
  private readonly tabs = h('div', { class: 'segments', role: 'group', 'aria-label': 'View' });
  private readonly summary = h('div', { class: 'summary' });
  private readonly split: HTMLElement;
  private readonly notice = h('div', { class: 'notice-place', hidden: true });
  private pattern: Pattern = noPattern;
  private hit = -1;

  constructor(
    private readonly router: Router,
    copyName: (name: string) => void,
  ) {
    this.flame = new FlameView({ zoomed: (zoom) => router.push({ zoom }), copyName });
    this.table = new TopTable(router);
    this.search = new SearchBar(router, { jump: (direction) => this.jump(direction) });
    this.split = h('div', { class: 'split' }, this.table.element, this.flame.element);
    this.element = h(
      'main',
      { class: 'panel graph', id: 'graph' },
      h('div', { class: 'panel-head graph-head' }, this.tabs, this.search.element, this.summary),
      this.split,
      this.notice,
    );
  }

  // A new answer came, or the page's state changed.
  showFlame(graph: FlameGraph | null, state: State): void {
    this.hit = -1;
    this.flame.show(graph, state.zoom, this.pattern);
    this.showSummary(graph);
    this.applySearch(state);
  }

  showTop(top: Top | null, state: State): void {
    this.table.show(top, state, this.pattern);
  }

  showState(state: State, before: State, top: Top | null): void {
    update(
      this.tabs,
      ...views.map(([view, name]) =>
        h(
          'button',
          {
            type: 'button',
            class: 'segment',
            'aria-pressed': String(state.view === view),
            on: { click: () => this.router.push({ view }) },
          },
          name,
        ),
      ),
    );
    this.split.className = `split view-${state.view}`;
    if (state.zoom !== before.zoom) this.flame.setZoom(state.zoom);
    if (state.search !== before.search || state.regex !== before.regex) this.hit = -1;
    this.pattern = makePattern(state.search, state.regex);
    this.search.show(state, this.pattern.error);
    this.applySearch(state);
    this.showTop(top, state);
  }

  showNotice(notice: HTMLElement | null): void {
    this.notice.hidden = notice === null;
    this.split.hidden = notice !== null;
    fill(this.notice, notice);
  }

  jump(direction: -1 | 1): void {
    const hits = this.flame.matches?.hits ?? [];
    if (hits.length === 0) return;
    this.hit = this.hit < 0 && direction < 0 ? hits.length - 1 : (this.hit + direction + hits.length) % hits.length;
    this.flame.reveal(hits[this.hit]);
    this.badge();
  }

  private applySearch(state: State): void {
    const searching = state.search !== '' && this.pattern.error === '';
    this.flame.setPattern(searching ? this.pattern : null);
    this.badge();
  }

  private badge(): void {
    const { matches, layout } = this.flame;
    const total = layout?.graph.total ?? 0;
    this.search.matched(matches && total > 0 ? matches.total / total : null, this.hit, matches?.hits.length ?? 0);
  }

  private showSummary(graph: FlameGraph | null): void {
    if (!graph) return fill(this.summary);
    const shown = graph.nodes.parent.length;
    const cut = graph.nodes_in_all > shown;
    const all = () => this.router.push({ full: true });
    update(
      this.summary,
      h('strong', {}, formatValue(graph.total, graph.unit)),
      `${isLevel(graph.type) ? ' on average' : ''} in ${graph.profiles} profile${graph.profiles === 1 ? '' : 's'}`,
      cut
        ? h(
            'button',
            {
              type: 'button',
              class: 'button small',
              title: `The largest ${shown} of ${graph.nodes_in_all} nodes are shown`,
              on: { click: all },
            },
            'Show all nodes',
          )
        : null,
      ...collectionFacts(graph.kind, graph.counters ?? {}).map(({ text, warn }) =>
        h(
          'span',
          { class: warn ? 'fact warn' : 'fact', title: allCounters(graph.counters ?? {}) },
          text,
        ),
      ),
    );
  }
}
