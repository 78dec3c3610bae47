import type { Check } from './check.ts'

export const booksBalance: Check = ({ database }, wrong) => {
  if (database.books.imbalance !== 0n) wrong('N5', 'the books do not sum to zero')
}
