/**
 * The first key that an object of a JSON text holds twice, as a path such as `flags.size`; undefined when there is
 * none. JSON.parse keeps the last of two silently, so that two readers of one body could differ. The text must be valid
 * JSON. One pass over the text.
 */
export function duplicateKey(text: string): string | undefined {
  const open: { readonly keys: Set<string> | undefined; key: string }[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    // Lists of many numbers are passed over at once.
    if (open.at(-1)?.keys === undefined) at = next(text, at);
    switch (text[at]) {
      case '{':
        open.push({ keys: new Set(), key: '' });
        expectsKey = true;
        break;
      case '[':
        open.push({ keys: undefined, key: '' });
        expectsKey = false;
        break;
      case '}':
      case ']':
        open.pop();
        expectsKey = false;
        break;
      case ',':
        expectsKey = open.at(-1)?.keys !== undefined;
        break;
      case '"': {
        const end = endOfString(text, at);
        const inner = open.at(-1);
        if (expectsKey && inner?.keys) {
          inner.key = JSON.parse(text.slice(at, end + 1)) as string;
          if (inner.keys.has(inner.key))
            return open.flatMap(({ key }) => (key === '' ? [] : [key])).join('.');
          inner.keys.add(inner.key);
        }
        expectsKey = false;
        at = end;
        break;
      }
      default:
    }
  }
  return undefined;
}

const STRUCTURE = /["{}[\]]/g;

/** Index of the next character that begins or ends something; the end when there is none. */
function next(text: string, from: number): number {
  STRUCTURE.lastIndex = from;
  return STRUCTURE.exec(text)?.index ?? text.length;
}

/** Index of the quote that closes the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
}
