// SPDX-License-Identifier: Apache-2.0
// Time ranges: what the URL and the API write (unix seconds or now-15m), what people type, what is shown.
// Pure. Relative times go to the collector as they are, so that its clock decides and not the browser's.

export interface Range {
  from: string; // 'now-1h' or unix seconds
  to: string;
}

export const presets: { span: string; name: string }[] = [
  { span: '5m', name: 'Last 5 minutes' },
  { span: '15m', name: 'Last 15 minutes' },
  { span: '1h', name: 'Last hour' },
  { span: '6h', name: 'Last 6 hours' },
  { span: '24h', name: 'Last 24 hours' },
  { span: '7d', name: 'Last 7 days' },
];

const unitNames: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day' };
const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400 };
const relative = /^now(?:-(\d+)([smhd]))?$/;

export function isRelative(text: string): boolean {
  return relative.test(text);
}

// Unix seconds of what was typed, undefined where it is no time. Without a zone it is local time.
export function parseTime(text: string, nowS: number): number | undefined {
  const typed = text.trim();
  const ago = relative.exec(typed);
  if (ago) return nowS - (ago[1] ? Number(ago[1]) * unitSeconds[ago[2]] : 0);
  if (/^\d{9,11}(\.\d+)?$/.test(typed)) return Number(typed);
  const date = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(typed);
  if (!date) return undefined;
  const parsed = Date.parse(`${date[1]}T${date[2] ?? '00:00'}${date[3] ?? ''}`);
  return Number.isNaN(parsed) ? undefined : parsed / 1000;
}

export function resolveRange(range: Range, nowS: number): { from: number; to: number } {
  return { from: parseTime(range.from, nowS) ?? nowS - 3600, to: parseTime(range.to, nowS) ?? nowS };
}

const pad = (value: number) => String(value).padStart(2, '0');

export function formatDay(seconds: number): string {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function formatClock(seconds: number, withSeconds = true): string {
  const date = new Date(seconds * 1000);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}${withSeconds ? `:${pad(date.getSeconds())}` : ''}`;
}

export function formatMoment(seconds: number): string {
  return `${formatDay(seconds)} ${formatClock(seconds)}`;
}

// Names for a time axis, as fine as they lie apart, so that no two are the same.
export function formatTicks(times: readonly number[]): string[] {
  const apart = times.length > 1 ? times[1] - times[0] : 60;
  const severalDays = times.length > 1 && times[times.length - 1] - times[0] > 86400;
  return times.map((at) => {
    const clock = formatClock(at, apart < 60);
    return apart >= 86400 || (severalDays && clock === '00:00') ? formatDay(at).slice(5) : clock;
  });
}

export function formatSpan(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function rangeName(range: Range): string {
  const preset = presets.find(({ span }) => range.from === `now-${span}` && range.to === 'now');
  if (preset) return preset.name;
  const ago = relative.exec(range.from);
  if (ago?.[1] && range.to === 'now') return `Last ${ago[1]} ${unitNames[ago[2]]}${ago[1] === '1' ? '' : 's'}`;
  const end = (text: string) => (isRelative(text) ? text : formatMoment(Number(text)));
  const sameDay =
    !isRelative(range.from) && !isRelative(range.to) && formatDay(Number(range.from)) === formatDay(Number(range.to));
  return `${end(range.from)} – ${sameDay ? formatClock(Number(range.to)) : end(range.to)}`;
}

// The range before (-1) or after (+1), by half its length; never beyond now.
export function shiftRange(range: Range, direction: -1 | 1, nowS: number): Range {
  const { from, to } = resolveRange(range, nowS);
  const length = Math.max(1, to - from);
  const end = Math.min(nowS, to + (direction * length) / 2);
  return { from: String(Math.round(end - length)), to: String(Math.round(end)) };
}

// Twice as long, around the same middle; never beyond now.
export function widenRange(range: Range, nowS: number): Range {
  const { from, to } = resolveRange(range, nowS);
  const length = Math.max(1, to - from);
  const end = Math.min(nowS, to + length / 2);
  return { from: String(Math.round(end - 2 * length)), to: String(Math.round(end)) };
}
