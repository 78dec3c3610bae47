import type { LegAnswer, LegIdentity, LegOutcome } from '../../../connectors/connector.ts'
import { doorOf } from '../door.ts'
import type { Edge, Wire, WirePorts } from './edge.ts'

/** Nothing becomes bytes: what is said is what is heard. */
export const words: Edge = { door: doorOf, wire: wordsWire }

function wordsWire({
  carry,
  clock,
  decide,
  life,
  matchKey = fullKey,
  random,
  rates,
  rules,
}: WirePorts): Wire {
  /** Who waits for an answer, by what answers are matched on. */
  const waiting = new Map<string, (answer: LegAnswer) => void>()
  let onLate: (identity: LegIdentity, answer: LegAnswer) => void = () => undefined
  const answered = (identity: LegIdentity, answer: LegAnswer): void => {
    const waiter = waiting.get(matchKey(identity))
    if (waiter === undefined) onLate(identity, answer)
    else waiter(answer)
  }
  return {
    rules,
    prepare: (leg) => Promise.resolve({ leg, message: noBytes }),
    send: ({ leg }, deadline) =>
      new Promise((resolve) => {
        const key = matchKey(leg.identity)
        const end = (outcome: LegOutcome): void => {
          if (waiting.get(key) !== waiter) return
          waiting.delete(key)
          resolve(outcome)
        }
        const waiter = (answer: LegAnswer): void => end({ kind: 'answered', answer, sent: leg.mti })
        waiting.set(key, waiter)
        const { linkLost, notSent } = rates()
        if (random.fraction() < notSent) return end({ kind: 'notSent', reason: 'offline' })
        const isLost = random.fraction() < linkLost
        carry(() => {
          const answer = decide(leg)
          carry(() => life.enter(() => answered(leg.identity, answer)))
        })
        const lose = (reason: 'linkLost' | 'deadline'): void =>
          end({ kind: 'maybeSent', reason, sent: leg.mti })
        if (isLost) clock.after(random.below(100), () => lose('linkLost'))
        clock.after(deadline - clock.monotonicMs(), () => lose('deadline'))
      }),
    onLate: (listener) => (onLate = listener),
  }
}

const noBytes = Buffer.alloc(0)

function fullKey({ transmittedAt, stan }: LegIdentity): string {
  return `${transmittedAt} ${stan}`
}
