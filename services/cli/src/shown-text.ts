/** A value of a file on one line, without what would steer a terminal. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
}

/** A value inside a Markdown table. */
export function cell(text: string): string {
  return plain(text).replace(/[\\|`*_<>[\]]/g, '\\$&');
}
