// The table of values in the chart's README: made of the comments in values.yaml, which is the one place where they stand.
import { isMap, parseDocument } from 'yaml';

const START = '<!-- values: made by "npm run helm:check -- --write" from values.yaml -->';
const END = '<!-- end of values -->';

/** The README with its table renewed. */
export function withValuesTable(readme, values) {
  const [before = '', rest = ''] = readme.split(START);
  const [, after = ''] = rest.split(END);
  return `${before}${START}\n\n${table(values)}\n\n${END}${after}`;
}

function table(values) {
  const rows = rowsOf(parseDocument(values).contents, '', '');
  const cells = [['Value', 'Default', 'Meaning'], ...rows].map((row) =>
    row.map((cell) => cell.replaceAll('|', '\\|')),
  );
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column].length)));
  const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  const [head, ...body] = cells;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

/** A row for each value that is no group; the words of a group go to its first row. */
function rowsOf(map, prefix, inherited) {
  let words = inherited;
  return map.items.flatMap(({ key, value }, index) => {
    const own = comment(key.commentBefore ?? (index === 0 ? map.commentBefore : undefined));
    const name = `${prefix}${key.value}`;
    const isGroup = isMap(value) && value.items.length > 0 && !value.flow;
    if (isGroup) return rowsOf(value, `${name}.`, own);
    const text = [words, own].filter((part) => part !== '').join(' ');
    words = '';
    return [[`\`${name}\``, `\`${JSON.stringify(value.toJSON())}\``, text]];
  });
}

const comment = (text = '') =>
  text
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .trim();
