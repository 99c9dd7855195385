/** A flipped item. */
export interface FlippedItem {
  readonly id: string;
  /** Old right, new wrong; else the reverse. */
  readonly negative: boolean;
  readonly label: string;
  readonly oldPrediction: string;
  readonly newPrediction: string;
}

interface Flip {
  readonly id: string;
  readonly negative: boolean;
  readonly row: number;
}

/** The flips that come first, negative ones before positive ones and by id, of any number that are added. */
export class FlipList {
  private flips: Flip[] = [];

  constructor(private readonly most: number) {}

  add(id: string, negative: boolean, row: number): void {
    if (this.most === 0) return;
    this.flips.push({ id, negative, row });
    if (this.flips.length > 2 * this.most + 1000) this.shorten();
  }

  get first(): readonly Flip[] {
    this.shorten();
    return this.flips;
  }

  private shorten(): void {
    this.flips.sort((a, b) => Number(b.negative) - Number(a.negative) || (a.id < b.id ? -1 : 1));
    if (this.flips.length > this.most) this.flips = this.flips.slice(0, this.most);
  }
}
