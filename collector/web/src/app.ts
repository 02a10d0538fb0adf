// SPDX-License-Identifier: Apache-2.0
// Ties the parts together, one way round: the URL's state → what is asked of the API → what is shown. Parts
// change the state through the router only.
import {
  ApiError,
  getFlame,
  getSeries,
  getServices,
  getTop,
  profileAddress,
  type FlameGraph,
  type Series,
  type Service,
  type Top,
} from './api.ts';
import type { RangeHost } from './chart_style.ts';
import { copyText } from './clipboard.ts';
import { Feed } from './feed.ts';
import { GraphPanel } from './graph_panel.ts';
import { bindings } from './bindings.ts';
import { Keys } from './keys.ts';
import { LabelFilter } from './label_filter.ts';
import { loginForm, noData, noServices, type Action } from './notices.ts';
import { MetricsPanel } from './metrics/panel.ts';
import { Page } from './page.ts';
import { Pickers } from './pickers.ts';
import { Router } from './router.ts';
import { completed, resolveSelection, type Selection } from './selection.ts';
import { dataKey, formatState, type State } from './state.ts';
import { onThemeChange } from './theme.ts';
import { TimePicker } from './time_picker.ts';
import { Timeline } from './timeline.ts';

const liveMs = 10_000;
const emptyStoreMs = 5_000;

export class App {
  private readonly router = new Router();
  private readonly pickers = new Pickers(this.router);
  private readonly time = new TimePicker(this.router, () => void this.start());
  private readonly filter = new LabelFilter(this.router, () => this.asked());
  private readonly ranges: RangeHost = {
    select: (from, to) => this.router.zoomRange({ from: String(from), to: String(to) }),
    leave: () => this.time.out(),
  };
  private readonly timeline = new Timeline(this.ranges, this.pickers.type);
  private readonly metrics = new MetricsPanel(this.router, this.ranges);
  private readonly graph = new GraphPanel(this.router, (name) => void this.copy(name, 'Name copied'));
  private readonly keys = new Keys(
    bindings({
      router: this.router,
      time: this.time,
      graph: this.graph,
      metrics: this.metrics,
      refresh: () => void this.start(),
    }),
  );
  private readonly page: Page;
  private readonly series = new Feed<Series>(() => this.timeline.show(this.series.data));
  private readonly flame = new Feed<FlameGraph>(() => this.showFlame());
  private readonly top = new Feed<Top>(() => this.showTop());
  private services: Service[] | null = null;
  private selection: Selection | undefined;
  private timer = 0;
  private round = 0;

  constructor() {
    const { service, kinds } = this.pickers;
    this.page = new Page({
      service,
      kinds,
      time: this.time.element,
      chips: this.filter.chips,
      group: this.filter.group,
      timeline: this.timeline.element,
      metrics: this.metrics.element,
      graph: this.graph.element,
      help: () => this.keys.help(),
      copyLink: () => void this.copyLink(),
    });
    document.body.append(this.keys.dialog);
    this.router.onChange((state, before) => void this.changed(state, before));
    onThemeChange(() => {
      this.timeline.setTheme();
      this.metrics.setTheme();
      this.graph.flame.setTheme();
    });
    document.addEventListener('visibilitychange', () => {
      // While the page was hidden its timer only ran out.
      if (!document.hidden && (this.router.state.live || this.services?.length === 0)) void this.start();
    });
    void this.start();
  }

  // Asks for everything anew: at the start, on refresh, every 10 s while live.
  private async start(): Promise<void> {
    clearTimeout(this.timer);
    this.page.progress.start();
    try {
      this.services = await getServices();
    } catch (error) {
      this.page.progress.stop();
      return this.failed(error);
    }
    await this.changed(this.router.state, this.router.state, true);
  }

  private async changed(state: State, before: State, force = false): Promise<void> {
    if (!this.services) return;
    this.selection = resolveSelection(state, this.services);
    this.time.show(state);
    this.filter.show(state);
    this.pickers.show(this.services, this.selection);
    document.title = this.selection ? `${this.selection.service.service} · siprof` : 'siprof';
    if (!this.selection) return this.showNothing(state);
    if (!state.service) return this.router.replace({ service: this.selection.service.service });
    this.page.showNotice(null);
    this.page.download.href = profileAddress(this.asked());
    this.metrics.showState(state);
    this.graph.showState(state, before, this.top.data);
    await this.load(force);
  }

  private asked(): State {
    const { state } = this.router;
    return this.selection ? completed(state, this.selection) : state;
  }

  private async load(force: boolean): Promise<void> {
    const round = ++this.round;
    const state = this.asked();
    const key = dataKey(state);
    this.page.progress.start();
    const asked = [this.series.load(`${key}${state.by}`, force, (signal) => getSeries(state, signal))];
    if (state.view !== 'top')
      asked.push(this.flame.load(`${key}${state.full}`, force, (signal) => getFlame(state, signal)));
    if (state.view !== 'flame')
      asked.push(this.top.load(`${key}${state.sort === 'total'}`, force, (signal) => getTop(state, signal)));
    asked.push(this.metrics.load(state, force));
    const results = await Promise.allSettled(asked);
    if (round !== this.round) return;
    this.page.progress.stop();
    const failure = results.find((result) => result.status === 'rejected');
    if (failure) this.failed(failure.reason);
    else this.page.banner.hide();
    this.again(this.router.state.live ? liveMs : 0);
  }

  private showFlame(): void {
    this.graph.showFlame(this.flame.data, this.router.state);
    this.showEmpty(this.flame.data?.total ?? 0);
  }

  private showTop(): void {
    this.graph.showTop(this.top.data, this.router.state);
    if (this.router.state.view === 'top') this.showEmpty(this.top.data?.total ?? 0);
  }

  private showEmpty(total: number): void {
    const { service } = this.selection ?? {};
    if (total > 0 || !service) return this.graph.showNotice(null);
    const actions: Action[] = [
      {
        text: 'Show its latest data',
        act: () =>
          this.router.push({
            from: String(Math.floor(service.last - 900)),
            to: String(Math.ceil(service.last + 10)),
            live: false,
          }),
      },
    ];
    if (this.router.state.match.length > 0)
      actions.unshift({ text: 'Remove the filters', act: () => this.router.push({ match: [] }) });
    this.graph.showNotice(
      noData(
        'Nothing recorded here',
        this.router.state.match.length > 0
          ? 'No profile in this range has these labels.'
          : `${service.service} sent no profile of this kind in this range.`,
        actions,
      ),
    );
  }

  private showNothing(state: State): void {
    this.page.progress.stop();
    this.page.banner.hide();
    if (this.services?.length === 0) {
      this.page.showNotice(noServices((text) => void this.copy(text, 'Copied')));
      return this.again(emptyStoreMs);
    }
    return this.page.showNotice(
      noData('No such service', `The collector has nothing of “${state.service}”.`, [
        {
          text: 'Show another service',
          act: () => this.router.push({ service: '', kind: '', type: '', match: [], by: '' }),
        },
      ]),
      true,
    );
  }

  private failed(error: unknown): void {
    if (error instanceof ApiError && error.status === 401) {
      this.page.banner.hide();
      return this.page.showNotice(loginForm(() => void this.start()));
    }
    // A bug must be seen, too; its stack is in the console.
    if (!(error instanceof ApiError)) console.error(error);
    this.page.banner.show(error instanceof Error ? error.message : String(error), () => void this.start());
    if (!this.series.data) this.timeline.show(null);
    if (!this.flame.data) this.graph.showFlame(null, this.router.state);
    if (!this.top.data) this.graph.showTop(null, this.router.state);
    this.again(this.router.state.live ? liveMs : 0);
  }

  private again(ms: number): void {
    clearTimeout(this.timer);
    if (ms > 0)
      this.timer = window.setTimeout(() => {
        if (!document.hidden) void this.start();
      }, ms);
  }

  // A link to what is in sight: a range that moves with the clock is pinned, unless it is live.
  private async copyLink(): Promise<void> {
    const { state } = this.router;
    const shown = this.series.data;
    const pinned =
      shown && !state.live ? { from: String(Math.floor(shown.from)), to: String(Math.ceil(shown.to)) } : {};
    await this.copy(
      `${location.origin}${location.pathname}?${formatState({ ...this.asked(), ...pinned })}`,
      'Link copied',
    );
  }

  private async copy(text: string, done: string): Promise<void> {
    this.page.toast.show((await copyText(text)) ? done : 'This browser does not let the page copy.');
  }
}
