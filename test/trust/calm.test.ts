import { expect, test } from 'vitest'
import { inCalm } from './calm.ts'

/** Times of a machine of which, in the turns of `stolen`, the host takes a fifth. */
function machine(stolen: (turn: number) => boolean): { take: () => Promise<never>; timesOf: () => never } {
  let turn = -1
  const times = { busy: 0, stolen: 0 }
  return {
    take() {
      turn++
      times.busy += 80
      if (stolen(turn)) times.stolen += 20
      return Promise.resolve({ without: [], among: [], turn } as never)
    },
    timesOf: () => ({ ...times }) as never,
  }
}

test('a pair in which the host took the processors away is taken again, and counted as disturbed', async () => {
  const { take, timesOf } = machine((turn) => turn === 1 || turn === 2)
  const told: [number, number][] = []
  const { disturbed, pairs } = await inCalm(3, take, (soFar, left) => told.push([soFar.length, left]), {
    rest: 0,
    timesOf,
  })
  expect(pairs).toMatchObject([{ turn: 0 }, { turn: 3 }, { turn: 4 }])
  expect(disturbed).toBe(2)
  expect(told).toEqual([
    [1, 0],
    [2, 2],
    [3, 2],
  ])
})

test('where the host never rests the pairs count as they come after a while', async () => {
  const { take, timesOf } = machine(() => true)
  const { disturbed, pairs } = await inCalm(3, take, () => undefined, { rest: 0, timesOf })
  expect(pairs).toMatchObject([{ turn: 6 }, { turn: 7 }, { turn: 8 }])
  expect(disturbed).toBe(6)
})
