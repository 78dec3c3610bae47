import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * What can go wrong in the life of a transaction, what must come of it, and the tests that show that it does: those
 * whose names begin with the number. `npm run docs:failure-points` writes the table from them.
 */
interface FailurePoint {
  readonly failure: string
  readonly outcome: string
  /** It takes several nodes, or another front than the one there is: why it is not to be expected here yet. */
  readonly waitsFor?: string
}

const failurePoints: Readonly<Record<string, FailurePoint>> = {
  F01: {
    failure: 'a frame longer than any message, or with a bad header',
    outcome: 'that line is closed, no other is disturbed',
  },
  F02: {
    failure: 'a frame that is begun and never ended',
    outcome: 'that line is closed, nothing is on record',
  },
  F03: {
    failure: 'a line cut in the middle of a message',
    outcome: 'the piece is dropped, nothing is on record',
  },
  F04: {
    failure: 'a sound frame with something unreadable in it',
    outcome: '30 where type and DE11 can be read, else no answer; the line goes on',
  },
  F05: {
    failure: 'a peer that is nobody, or has the wrong certificate',
    outcome: 'refused before its first message',
  },
  F06: { failure: 'a request with a wrong seal', outcome: 'refused; nothing is posted or forwarded' },
  F07: {
    failure: 'a request that came before: in progress, done, or with other data',
    outcome: 'the same answer, or 94; never a second transaction',
  },
  F08: { failure: 'the first commit fails', outcome: 'refused, and nothing is forwarded' },
  F09: {
    failure: 'the HSM is down, busy, or cannot move the PIN',
    outcome: 'refused before anything is sent; its own breaker opens, not the network’s',
  },
  F10: { failure: 'PIN keys that differ between us and a peer', outcome: 'declined, and the key is watched' },
  F11: {
    failure: 'no route, or no destination that can be reached',
    outcome: 'stand-in where allowed, else 15 or 91',
  },
  F12: {
    failure: 'no room in the destination’s window in time',
    outcome: 'another destination, stand-in or 91; nothing was sent',
  },
  F13: {
    failure: 'the intent’s commit fails, or is slower than the time there is',
    outcome: '91 or 96, and nothing is sent',
  },
  F14: {
    failure: 'a crash after the intent, before the first byte',
    outcome: 'the next life owes a reversal: an extra one is harmless',
  },
  F15: { failure: 'a socket that takes no byte', outcome: 'not sent, so another destination may be tried' },
  F16: {
    failure: 'a write that fails after some byte, or a reset',
    outcome: 'maybe sent: declined at once, reversal owed',
  },
  F17: {
    failure: 'a destination that stays silent',
    outcome: 'declined at the deadline, reversal owed; the breaker counts it',
  },
  F18: { failure: 'a session lost with legs in flight', outcome: 'each leg ends as maybe sent at once' },
  F19: { failure: 'an answer after the deadline', outcome: 'recorded, never posted, never forwarded' },
  F20: {
    failure: 'an answer that belongs to another leg',
    outcome: 'not delivered; the leg goes on to its deadline',
  },
  F21: {
    failure: 'two answers to one leg that differ',
    outcome: 'the first stands, the second raises an alarm',
  },
  F22: {
    failure: 'an answer with a wrong seal, unreadable, or without a response code',
    outcome: 'as no answer: declined and reversed',
  },
  F23: {
    failure: 'an approval of more, of another currency or another card',
    outcome: 'reversed whole, 96, an alarm',
  },
  F24: {
    failure: 'a part is approved, and the source cannot take a part',
    outcome: 'the part is reversed, the source declined',
  },
  F25: {
    failure: 'the outcome’s commit fails after an approval',
    outcome: 'declined and reversed where that is known; silence where it is not',
  },
  F26: {
    failure: 'a crash between the approval and its commit',
    outcome: 'the next life finds an intent without outcome: reversal owed',
  },
  F27: {
    failure: 'a crash between the commit and the answer',
    outcome: 'unproven, never reversed by itself; a repeat hears the approval',
  },
  F28: { failure: 'a crash between the answer and the evidence of it', outcome: 'as F27' },
  F29: {
    failure: 'a source that is gone before its answer',
    outcome: 'an approval that can’t have arrived is undone',
  },
  F30: {
    failure: 'a source that goes right after its answer',
    outcome: 'the approval stands; its repeat or reversal tells',
  },
  F31: {
    failure: 'the source’s reversal comes before our answer',
    outcome: 'declined at the source; the network is told once the leg has ended',
  },
  F32: {
    failure: 'the source’s reversal comes before its original',
    outcome: 'acknowledged and remembered; the original is declined when it comes',
  },
  F33: { failure: 'a reversal repeated ten times', outcome: 'one reversal, ten acknowledgements' },
  F34: {
    failure: 'a reversal that the network refuses',
    outcome: 'parked with an alarm; those behind it go on',
  },
  F35: {
    failure: 'a destination that is away for hours',
    outcome: 'what is owed waits on disk, new requests are declined fast; then it drains',
  },
  F36: {
    failure: 'the acknowledgement of what was owed is lost',
    outcome: 'repeated under the same key, effect once',
  },
  F37: {
    failure: 'an advice that the issuer refuses after stand-in',
    outcome: 'an exposure that people see',
  },
  F38: {
    failure: 'the business date turns while a request is under way',
    outcome: 'the request keeps the date it began with',
  },
  F39: { failure: 'totals of a day that do not agree', outcome: 'said so, recorded, no entry made up' },
  F40: {
    failure: 'a key exchange whose check value differs, or a message under the old key',
    outcome: 'the old key stays; both serve while one replaces the other',
  },
  F41: {
    failure: 'three echoes without answer',
    outcome: 'the session is closed and made anew; its legs end as F16',
  },
  F42: {
    failure: 'a peer that accepts TCP and never answers the sign-on',
    outcome: 'not online, tried again with growing waits, no traffic',
  },
  F43: {
    failure: 'no name, no TLS, an expired certificate',
    outcome: 'tried again with growing waits; alarms before a certificate ends',
  },
  F44: { failure: 'a node that dies', outcome: 'another takes up what it left open, after its time is over' },
  F45: {
    failure: 'the database is away for seconds',
    outcome: 'new requests are refused fast, what was sent is met with silence, then reversed',
  },
  F46: {
    failure: 'a node cut off from the database, not from the network',
    outcome: 'it closes its sessions before its lease ends',
  },
  F47: { failure: 'a wall clock that jumps by an hour', outcome: 'no deadline moves, nothing is doubled' },
  F48: {
    failure: 'a process that stands still for seconds',
    outcome: 'deadlines hold; what is over time is late; what waited in sockets is not begun',
  },
  F49: { failure: 'a full disk', outcome: 'nothing new is taken in; reversals still are' },
  F50: {
    failure: 'three times the load there is room for',
    outcome: 'fast refusals, bounded memory, recovery in seconds',
  },
  F51: { failure: 'a changed configuration with a mistake in it', outcome: 'the old one stays, whole' },
  F52: {
    failure: 'an operator who resends or closes twice',
    outcome: 'once, audited, with four eyes where money moves',
  },
  F53: { failure: 'answers in another order than the requests', outcome: 'each goes to its request' },
  F54: {
    failure: 'a peer that uses a trace number again the same day',
    outcome: 'other data under the same key is refused',
  },
  F55: {
    failure: 'a REST client that asks again after a network error',
    outcome: 'the same key has the same result',
    waitsFor: 'the REST front',
  },
}

interface Proof {
  readonly file: string
  readonly title: string
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The page. Tests that are named after no known failure point make it throw. */
export function failurePointsPage(): string {
  const proofs = proofsByNumber()
  for (const number of proofs.keys())
    if (failurePoints[number] === undefined)
      throw new Error(`a test is named ${number}, which is not in the list`)
  const proven = Object.keys(failurePoints).filter((number) => proofs.has(number))
  const rows = Object.entries(failurePoints).flatMap(([number, { failure, outcome, waitsFor }]) => {
    const found = proofs.get(number) ?? []
    const where =
      found.length > 0
        ? found.map(({ file, title }) => `\`${file}\`: ${title}`).join('<br>')
        : waitsFor === undefined
          ? '**not yet**'
          : `not yet: waits for ${waitsFor}`
    return [`| ${number} | ${failure} | ${outcome} | ${where} |`]
  })
  return [
    '# Failure points',
    '',
    '<!-- Written by `npm run docs:failure-points` from the names of the tests. Not for editing. -->',
    '',
    'What can go wrong in the life of a transaction, what must come of it, and the tests that show it: those whose',
    'names begin with the number. Beside them the simulation (`npm run simulate`) lives through most of these at once.',
    '',
    `${proven.length} of ${Object.keys(failurePoints).length} are proven by a test of their own.`,
    '',
    '| | failure | what must come of it | shown by |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

/** A name that begins with one number or several, `F27, F28: ...`, first in its call. */
const named = /\(\s*(['"`])((?:F\d\d(?:, )?)+)[: ] *([^\n]*?)\1\s*[,)]/g

function proofsByNumber(): Map<string, Proof[]> {
  const proofs = new Map<string, Proof[]>()
  const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })
  for (const file of files.filter((name) => name.endsWith('.test.ts')).sort()) {
    for (const [, , numbers, title] of readFileSync(`${root}test/${file}`, 'utf8').matchAll(named)) {
      for (const number of numbers!.split(', '))
        proofs.set(number, [...(proofs.get(number) ?? []), { file: `test/${file}`, title: escaped(title!) }])
    }
  }
  return proofs
}

function escaped(title: string): string {
  return title.replaceAll("\\'", "'").replaceAll('|', '\\|')
}
