// What the zoo weighs: it is part of the repository, so everybody who clones it carries it.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes that all files of the zoo may have together: 91 MB. */
export const LARGEST_ZOO = 91_000_000;

/** Sum of the sizes of all files. A fault names the largest folders, where there is most to save. */
export function checkSize(zoo, report) {
  const folders = new Map();
  let sum = 0;
  // A folder may be a link to one elsewhere: what is behind it counts as well.
  for (const part of readdirSync(zoo)) {
    const path = join(zoo, part);
    const files = statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true }).map((file) => join(path, file))
      : [path];
    for (const file of files) {
      const stat = statSync(file);
      if (!stat.isFile()) continue;
      sum += stat.size;
      folders.set(part, (folders.get(part) ?? 0) + stat.size);
    }
  }
  const inMb = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
  const largest = [...folders].sort(([, a], [, b]) => b - a).slice(0, 3);
  const where = largest.map(([part, bytes]) => `${part} ${inMb(bytes)}`).join(', ');
  report.add(
    'size',
    sum <= LARGEST_ZOO
      ? []
      : [
          `the files of the zoo are ${inMb(sum)} together, more than ${inMb(LARGEST_ZOO)}: ${where}; store what is new smaller, or leave something out`,
        ],
    `${inMb(sum)} of ${inMb(LARGEST_ZOO)}`,
  );
}
