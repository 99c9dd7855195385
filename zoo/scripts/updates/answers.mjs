// Numbers of labels as text: two digits of base 36 each; `--` where there is none.
const DIGITS = 2;

export function encodeAnswers(answers) {
  return answers.map((answer) => (answer < 0 ? '--' : answer.toString(36).padStart(DIGITS, '0'))).join('');
}

/** One piece of text for each row; equal pieces are equal labels. */
export function decodeAnswers(text) {
  return text.match(/../g);
}
