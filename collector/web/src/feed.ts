// SPDX-License-Identifier: Apache-2.0
// One kind of answer that the page shows, and which request it belongs to. The old answer stays in sight until
// the new one is there; a newer request ends the older one.

export class Feed<T> {
  data: T | null = null;
  private key = '';
  private pending: Promise<void> | null = null;
  private running: AbortController | null = null;

  constructor(private readonly arrived: () => void) {}

  // Asks unless the answer for this key is there or on its way. Rejects with what `ask` throws, and with
  // nothing when a newer request took over.
  load(key: string, force: boolean, ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    if (key === this.key && !force) return this.pending ?? Promise.resolve();
    this.running?.abort();
    this.key = key;
    this.pending = this.run(ask);
    return this.pending;
  }

  private async run(ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    const mine = new AbortController();
    this.running = mine;
    try {
      const data = await ask(mine.signal);
      if (this.running !== mine) return;
      this.data = data;
      this.arrived();
    } catch (error) {
      if (this.running !== mine) return;
      this.data = null;
      this.key = ''; // the same request may be tried again
      throw error;
    } finally {
      if (this.running === mine) {
        this.running = null;
        this.pending = null;
      }
    }
  }
}
