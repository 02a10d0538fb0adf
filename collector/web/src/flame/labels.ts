// SPDX-License-Identifier: Apache-2.0
// Picks the longest form of a name that fits a box, else cuts the shortest one. Widths are measured once per
// form and kept: measuring is what a redraw would otherwise spend most of its time on.
import { forms } from './names.ts';

const ellipsis = '…';

export class LabelFitter {
  private readonly known = new Map<string, { text: string; width: number }[]>();
  private readonly cuts = new Map<string, string>();

  constructor(private readonly measure: (text: string) => number) {}

  // '' when not even three letters fit.
  fit(name: string, room: number): string {
    const shapes = this.shapes(name);
    for (const { text, width } of shapes) if (width <= room) return text;
    return this.cut(shapes[shapes.length - 1], room);
  }

  private shapes(name: string): { text: string; width: number }[] {
    let shapes = this.known.get(name);
    if (!shapes) {
      shapes = forms(name).map((text) => ({ text, width: this.measure(text) }));
      this.known.set(name, shapes);
    }
    return shapes;
  }

  private cut({ text, width }: { text: string; width: number }, room: number): string {
    const guess = Math.floor((text.length * room) / width);
    if (guess < 3) return '';
    const key = `${guess} ${room | 0} ${text}`;
    let label = this.cuts.get(key);
    if (label === undefined) {
      label = this.shorten(text, guess, room);
      // Every width that a window was dragged through would stay otherwise.
      if (this.cuts.size > 20000) this.cuts.clear();
      this.cuts.set(key, label);
    }
    return label;
  }

  private shorten(text: string, guess: number, room: number): string {
    for (let length = guess; length >= 2; --length) {
      const label = text.slice(0, length) + ellipsis;
      if (this.measure(label) <= room) return label;
    }
    return '';
  }
}
