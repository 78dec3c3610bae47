import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pair } from './paired.ts'

/** Of the time in which the machine had work, so much may be somebody else's. */
const stolenMax = 0.1
const restMs = 5_000

export interface CalmPairs {
  readonly pairs: readonly Pair[]
  /** How many were not counted, since the host gave the machine's time to others. */
  readonly disturbed: number
}

/**
 * Takes so many pairs while the machine has its processors to itself. On a virtual machine the host may give them to
 * others, for seconds or for an hour: a window in which it did says nothing of the program. After twice as many of those
 * the rest count as they come, so that this ends.
 */
export async function inCalm(
  wanted: number,
  take: (turn: number) => Promise<Pair>,
  onTaken: (pairs: readonly Pair[], disturbed: number) => void,
  { rest = restMs, timesOf = processorTimes } = {},
): Promise<CalmPairs> {
  const pairs: Pair[] = []
  let disturbed = 0
  for (let turn = 0; pairs.length < wanted; turn++) {
    const before = timesOf()
    const pair = await take(turn)
    if (disturbed < wanted * 2 && stolenShare(before, timesOf()) > stolenMax) {
      disturbed++
      await sleep(rest)
      continue
    }
    pairs.push(pair)
    onTaken(pairs, disturbed)
  }
  return { pairs, disturbed }
}

/** In ticks since the start of the machine. */
interface ProcessorTimes {
  readonly busy: number
  readonly stolen: number
}

/** Nothing is stolen where the system does not say (proc(5), `/proc/stat`). */
function processorTimes(): ProcessorTimes {
  try {
    const [, line = ''] = /^cpu +(.+)/.exec(readFileSync('/proc/stat', 'utf8')) ?? []
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, stolen = 0] = line.split(' ').map(Number)
    return { busy: user + nice + system + irq + softirq, stolen }
  } catch {
    return { busy: 0, stolen: 0 }
  }
}

function stolenShare(before: ProcessorTimes, after: ProcessorTimes): number {
  const stolen = after.stolen - before.stolen
  const wanted = stolen + after.busy - before.busy
  return wanted === 0 ? 0 : stolen / wanted
}
