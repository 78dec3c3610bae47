import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readStatement, StatementError, writeStatement } from '../../switch/ports/statement.ts'

const header = 'type,isReversal,rrn,stan,terminal,amountMinor,currency,date'
const row = 'debit,false,632610983283,000026,X0000004,2907,KWD,2026-11-22'

function read(...lines: readonly string[]): ReturnType<typeof readStatement> {
  return readStatement(Buffer.from(lines.map((line) => `${line}\n`).join('')))
}

function faultOf(...lines: readonly string[]): Pick<StatementError, 'fault' | 'line' | 'column'> {
  try {
    read(...lines)
  } catch (error) {
    if (!(error instanceof StatementError)) throw error
    const { column, fault, line, message } = error
    expect(message).not.toMatch(/\d{4}/)
    return { fault, line, column }
  }
  throw new Error('it was read')
}

const items = fc.array(
  fc.record({
    type: fc.constantFrom('debit', 'credit', 'transfer', 'inquiry', 'authorization'),
    isReversal: fc.boolean(),
    rrn: fc.stringMatching(/^[A-Za-z0-9]{1,12}$/),
    terminal: fc.stringMatching(/^[!-~]([ -~]{0,6}[!-~])?$/),
    currency: fc.constantFrom('KWD', 'USD', 'JPY'),
    minor: fc.bigInt({ min: 0n, max: 999_999_999_999_999n }),
    date: fc.constantFrom('2026-11-22', '2028-02-29'),
  }),
)

test('what is written is read again, with its totals and its digest, whatever terminals are called', () => {
  fc.assert(
    fc.property(items, (all) => {
      const statement = readStatement(Buffer.from(writeStatement(all)))
      expect(statement).toMatchObject({ items: all, sealed: true, totalled: all.length > 0 })
    }),
  )
})

test('columns may stand in any order, quoted or not, with either end of line, behind a byte order mark, without STANs', () => {
  const mark = '\ufeff'
  const { items: all } = readStatement(
    Buffer.from(
      `${mark}date,"rrn",terminal,type,isReversal,currency,amountMinor\r\n2026-11-22,632610983283,"X,""1",debit,true,KWD,2907\r\n`,
    ),
  )
  expect(all).toEqual([
    {
      ...{ type: 'debit', isReversal: true, rrn: '632610983283', terminal: 'X,"1' },
      ...{ currency: 'KWD', minor: 2_907n, date: '2026-11-22' },
    },
  ])
})

test('totals and digest need not be there; where they are they must be right', () => {
  expect(read(header, row)).toMatchObject({ sealed: false, totalled: false })
  expect(read(header, row, 'total,KWD,1,2907')).toMatchObject({ sealed: false, totalled: true })
  const wrong = { fault: 'wrongTotal', line: 3, column: 0 }
  expect(faultOf(header, row, 'total,KWD,2,2907')).toEqual(wrong)
  expect(faultOf(header, row, 'total,KWD,1,2908')).toEqual(wrong)
  expect(faultOf(header, row, 'total,USD,1,2907')).toEqual(wrong)
  expect(faultOf(header, row, 'total,KWD,1,2907', row)).toEqual({ fault: 'afterTotals', line: 4, column: 0 })
  expect(faultOf(header, row, `sha256,${'0'.repeat(64)}`)).toEqual({
    fault: 'wrongDigest',
    line: 3,
    column: 0,
  })
  const sealed = writeStatement(read(header, row).items)
  const changed = sealed.replaceAll('2907', '2908')
  expect(faultOf(...changed.trimEnd().split('\n'))).toMatchObject({ fault: 'wrongDigest' })
})

test('a file that cannot be meant is refused at its line and column, and what stood there is not repeated', () => {
  const with_ = (column: number, value: string): string => row.split(',').with(column, value).join(',')
  expect(faultOf()).toEqual({ fault: 'empty', line: 1, column: 0 })
  expect(faultOf(`${header},cardNumber`, row)).toEqual({ fault: 'strangeColumn', line: 1, column: 9 })
  expect(faultOf('type,rrn', row)).toMatchObject({ fault: 'noColumn', line: 1 })
  expect(faultOf(header, row, `${row},1`)).toEqual({ fault: 'fieldCount', line: 3, column: 0 })
  expect(faultOf(header, with_(4, '"X1'))).toMatchObject({ fault: 'quotes', line: 2 })
  const bad: readonly (readonly [number, string])[] = [
    [0, 'purchase'],
    [1, 'no'],
    // A card number in the place of a reference.
    [2, '8888880000000001'],
    [2, '888888******0001'],
    [3, '1234567'],
    [4, ''],
    [4, 'X00000001'],
    [5, '-2907'],
    [5, '29.07'],
    [5, '9'.repeat(16)],
    [6, 'XXX'],
    [6, '414'],
    [7, '2026-02-29'],
    [7, '22.11.2026'],
  ]
  for (const [column, value] of bad)
    expect(faultOf(header, row, with_(column, value))).toEqual({
      fault: 'badValue',
      line: 3,
      column: column + 1,
    })
  expect(() => readStatement(Buffer.from(`${header}\n\xff`, 'latin1'))).toThrow(
    'line 2: the file is not UTF-8',
  )
})
