/** Gives each name a number, from 0 on in the order they are seen. */
export class NameTable {
  private readonly codes = new Map<string, number>();
  private readonly names: string[] = [];

  codeOf(name: string): number {
    const known = this.codes.get(name);
    if (known !== undefined) return known;
    const code = this.names.length;
    this.codes.set(name, code);
    this.names.push(name);
    return code;
  }

  nameOf(code: number): string {
    return this.names[code]!;
  }

  get size(): number {
    return this.names.length;
  }
}
