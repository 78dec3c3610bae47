/**
 * The name of a key or part that came from outside, as an error may say it: a word such as `stan` or `9F02`. What looks
 * like anything else, or like the digits of a card number, is not repeated.
 */
export function safeName(name: string): string {
  return /^\w{1,16}(#\d{1,3})?$/.test(name) && !/\d{7}/.test(name) ? name : '?'
}
