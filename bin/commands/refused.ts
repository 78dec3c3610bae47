/**
 * What was asked for is not there, or may not be done: the answer is no, and the exit code 1. An `Error` of any other kind
 * means that nobody could look (3).
 */
export class Refused extends Error {
  override readonly name = 'Refused'
}
