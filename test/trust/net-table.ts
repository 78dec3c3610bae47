import { arrowOf, type Tried } from './net-trial.ts'

/** A row for each fault, a column for each line and direction: the seconds that it took from good order to good order. */
export function tableOf(done: readonly Tried[]): string[] {
  const columnOf = ({ trial }: Tried): string => `${trial.line} ${arrowOf(trial.direction)}`
  const columns = [...new Set(done.map(columnOf))]
  const faults = [...new Set(done.map(({ trial }) => trial.fault.name))]
  if (columns.length < 2) return done.map(({ line }) => line)
  const cell = (fault: string, column: string): string => {
    const tried = done.find((each) => each.trial.fault.name === fault && columnOf(each) === column)
    if (tried === undefined) return '-'
    return tried.wrong === undefined ? `ok ${tried.seconds.toFixed(1)}` : 'WRONG'
  }
  const wide = Math.max(...faults.map((fault) => fault.length))
  const row = (first: string, cells: readonly string[]): string =>
    [first.padEnd(wide), ...cells.map((each) => each.padStart(13))].join('  ')
  return [
    row('seconds', columns),
    ...faults.map((fault) =>
      row(
        fault,
        columns.map((column) => cell(fault, column)),
      ),
    ),
  ]
}
