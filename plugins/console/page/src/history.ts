// What the graphs show: the last figures of each name, beside the times they are of. A name that is not there any more
// goes with the next round.
const kKept = 180;

export class History {
  readonly times: number[] = [];
  private readonly series = new Map<string, (number | null)[]>();
  private readonly listeners = new Set<() => void>();

  add(time: number, figures: Map<string, number | null>): void {
    // A circusd whose clock was set back: a graph's times go up.
    if (time < (this.times.at(-1) ?? 0)) this.clear();
    this.times.push(time);
    for (const name of this.series.keys()) if (!figures.has(name)) this.series.delete(name);
    for (const [name, figure] of figures) {
      let line = this.series.get(name);
      if (!line) this.series.set(name, (line = new Array<null>(this.times.length - 1).fill(null)));
      line.push(figure);
    }
    if (this.times.length > kKept) {
      this.times.shift();
      for (const line of this.series.values()) line.shift();
    }
    for (const each of this.listeners) each();
  }

  of(name: string): (number | null)[] {
    return this.series.get(name) ?? [];
  }

  clear(): void {
    this.times.length = 0;
    this.series.clear();
  }

  listen(listener: () => void): void {
    this.listeners.add(listener);
  }
}

export const history = new History();
