// SPDX-License-Identifier: Apache-2.0
// Filters by label (chips label = value) and the label that the timeline is grouped by. Names and values come
// from the API when a list opens, for the range in sight.
import { ApiError, getLabels, getLabelValues } from './api.ts';
import { fill, h, icon, update } from './dom.ts';
import { OptionList } from './option_list.ts';
import { Popover } from './popover.ts';
import type { Router } from './router.ts';
import type { State } from './state.ts';

export class LabelFilter {
  readonly chips: HTMLElement;
  private readonly list = h('span', { class: 'chip-list' });
  readonly group: HTMLElement;
  private readonly add = new Popover('Add a label filter', () => this.chooseLabel(), 'add-filter');
  private readonly by = new Popover('Group the timeline by', () => this.chooseGroup(), 'group-by');
  private readonly byList = new OptionList('Find a label', (label) => this.setGroup(label));

  constructor(
    private readonly router: Router,
    private readonly asked: () => State,
  ) {
    // The popover stands beside the list: open, it has to outlive every refresh.
    this.chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'Label filters' }, this.list, this.add.element);
    this.by.panel.append(this.byList.element);
    this.group = this.by.element;
    this.add.setFace('Add a label filter', icon('plus'), 'Filter');
  }

  show(state: State): void {
    update(this.list, ...state.match.map((pair, at) => this.chip(pair, at)));
    this.by.setFace(
      `Group the timeline by: ${state.by || 'nothing'}`,
      h('span', { class: 'picker-label' }, 'Group by'),
      state.by || 'nothing',
    );
  }

  private chip(pair: string, at: number): HTMLElement {
    const cut = pair.indexOf('=');
    const remove = () => this.router.push({ match: this.router.state.match.filter((_, other) => other !== at) });
    return h(
      'span',
      { class: 'chip', 'data-key': pair },
      h('span', { class: 'chip-label' }, pair.slice(0, cut)),
      h('span', { class: 'chip-value', title: pair }, pair.slice(cut + 1)),
      h(
        'button',
        { type: 'button', class: 'chip-remove', 'aria-label': `Remove filter ${pair}`, on: { click: remove } },
        icon('close'),
      ),
    );
  }

  private chooseLabel(): void {
    const list = new OptionList('Find a label', (label) => this.chooseValue(label));
    fill(this.add.panel, h('div', { class: 'popover-title' }, 'Only profiles with'), list.element);
    void offer(list, () => getLabels(this.asked()), '');
  }

  private chooseValue(label: string): void {
    const list = new OptionList(`Find a value of ${label}`, (value) => this.addFilter(`${label}=${value}`));
    fill(this.add.panel, h('div', { class: 'popover-title' }, `${label} =`), list.element);
    void offer(list, () => getLabelValues(this.asked(), label), '');
  }

  private addFilter(pair: string): void {
    this.add.close();
    const { match } = this.router.state;
    if (!match.includes(pair)) this.router.push({ match: [...match, pair] });
  }

  private chooseGroup(): void {
    const { by } = this.router.state;
    void offer(this.byList, async () => ['', ...(await getLabels(this.asked()))], by);
  }

  private setGroup(by: string): void {
    this.by.close();
    this.router.push({ by });
  }
}

async function offer(list: OptionList, load: () => Promise<string[]>, current: string): Promise<void> {
  list.show([], current);
  list.message('Loading…');
  try {
    const values = await load();
    list.show(
      values.map((value) => ({ value, text: value || 'nothing' })),
      current,
    );
    if (values.length === 0) list.message('No labels in this range');
  } catch (error) {
    list.message(error instanceof ApiError ? error.message : String(error));
  }
}
