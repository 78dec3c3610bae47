/** An event of a transaction's journal, as far as a sentence about it needs it. */
export interface Told {
  readonly kind: string
  /** The state that it led to. */
  readonly state: string
  readonly cause: string
  readonly detail: Readonly<Record<string, string | number | boolean>>
}

/** What is known beside the event itself. */
export interface Around {
  readonly source: string
  readonly destination: string
  /** What the source was told, or is to be told. */
  readonly responseCode: string
}

/**
 * What an event means, for somebody who was not there and does not know the code. undefined: it is none that the switch
 * writes.
 */
export function sentenceOf(event: Told, around: Around): string | undefined {
  return sentences[event.kind]?.(event, around)
}

type Sentence = (event: Told, around: Around) => string | undefined

const sentences: Readonly<Record<string, Sentence>> = {
  request({ cause, state }, { responseCode, source }) {
    if (state === 'intent')
      return `${source} asks. That is on record before anything leaves, with the leg ${cause}`
    return `${source} asks and is refused with ${responseCode}: ${refusals[cause] ?? cause}. Nothing is sent`
  },
  cancelUnknown: (_event, { source }) =>
    `${source} reverses a request that has not come. It is remembered, so that the request is declined if it comes`,
  overtaken: (_event, { source }) =>
    `the request of ${source} comes after its own reversal and is declined; nothing is sent`,
  legEnded: legEnded,
  notCommitted({ cause }, { destination, responseCode }) {
    const why = notCommitted[cause]
    if (why === undefined) return undefined
    return `${destination} approved, but ${why}. Declined with ${responseCode}, and ${destination} is to undo it`
  },
  cancel: cancelled,
  complete: completed,
  completeUnknown: ({ cause }, { destination, source }) =>
    cause === 'forced post: unknownAuthorization'
      ? `${source} completes an authorization that nobody here knows. Its rules let that be taken: posted and flagged, and ${destination} is to hear of it`
      : undefined,
  late: (_event, { destination }) =>
    `an answer of ${destination} comes after this was decided. It is recorded and changes nothing`,
  delivery({ cause, detail, state }, { destination, source }) {
    const outcome = String(detail['outcome'] ?? cause)
    if (state === 'reversed')
      return `the approval can't have reached ${source}. It is undone in the books, and ${destination} is to undo it`
    return `the answer went out to ${source}${outcome === '' ? '' : `: ${outcome}`}`
  },
  recovered({ state }, { destination, responseCode }) {
    if (state === 'unknown' || state === 'reversed')
      return `a node took this up that an earlier life, or another node, had left without an outcome. What ${destination} did is not known: declined with ${responseCode}, and ${destination} is to undo it`
    return 'a node wanted to take this up and found it decided'
  },
  obligationAnswered({ cause, detail }, { destination }) {
    const what = owed[cause]
    if (what === undefined) return undefined
    const attempts = Number(detail['attempts'] ?? 1)
    const code = String(detail['responseCode'] ?? '')
    const often = attempts > 1 ? ` after ${attempts} attempts` : ''
    if (detail['verdict'] === 'refusedByBooks')
      return `${destination} acknowledges ${what}, and the books refuse what follows from that. It is parked for people to decide (mafraq saf)`
    if (detail['verdict'] === 'parked')
      return `${destination} refuses ${what} with ${code}${often}. It is parked for people to decide (mafraq saf)`
    return `${destination} acknowledges ${what}${code === '' ? '' : ` with ${code}`}${often}`
  },
  operator: ({ cause }) => `people decided: ${cause}`,
  expired: ({ state }) =>
    state === 'completed'
      ? 'nobody took the rest of what was set aside in time. It is let go'
      : 'nobody completed it in time. What was set aside is let go',
  refund: ({ cause, detail }) =>
    `${cause === 'given up by a refund' ? 'a refund came to nothing, or to less, and gives its claim up' : 'a refund claims its part of what was paid'}${detail['refund'] === undefined ? '' : ` (${String(detail['refund'])})`}`,
}

/** Why a request goes nowhere. */
const refusals: Readonly<Record<string, string>> = {
  'no route': 'no destination takes that card',
  'no card has that number': 'the check digit shows that no card has that number',
  'limit of the source': 'it is above what this source may ask for',
  hsm: 'the HSM could not be used',
  books: 'the books could not be reached',
  offline: 'the destination can not be reached',
  signedOff: 'the destination signed off',
  breakerOpen: 'the destination failed too often lately and is left alone for a while',
  congested: 'there is no room for more at the destination',
  noTime: 'too little time is left for an answer',
  noStan: 'no trace number is to be had',
  draining: 'this node is stopping',
  keySync: 'the keys are out of step with the destination',
  'no target': 'its route has no destination',
  'refused before': 'it was refused before, when that could not be recorded',
  'more than was taken': 'it is for more than was taken, less what was given back already',
}

function legEnded({ cause, detail, state }: Told, { destination, responseCode }: Around): string | undefined {
  const after = detail['legMs'] === undefined ? '' : ` after ${String(detail['legMs'])} ms`
  switch (state) {
    case 'approved': {
      const standIn = /^stand-in for (.+): (.+)$/.exec(cause)
      if (standIn !== null)
        return `${destination} did not decide (${reasons[standIn[2]!] ?? standIn[2]!}). Approved in the issuer's place within the limits of ${standIn[1]!}; the issuer is to hear of it`
      if (lateCauses.includes(cause)) return late
      return `${destination} approves with ${cause}${after}. Posted in the same commit, and answered behind it`
    }
    case 'declined':
      return lateCauses.includes(cause) ? late : `${destination} declines with ${cause}${after}`
    case 'refused':
      return lateCauses.includes(cause)
        ? late
        : `it could not be sent: ${refusals[cause] ?? reasons[cause] ?? cause}. Declined with ${responseCode}; nothing is owed`
    case 'intent':
      return `it could not be sent there and goes another way, ${cause}`
    case 'unknown': {
      if (lateCauses.includes(cause)) return late
      const why = reasons[cause]
      return why === undefined
        ? undefined
        : `${why}${after}. What ${destination} did is not known or not wanted: declined with ${responseCode}, and where money could have moved ${destination} is to undo it`
    }
    case 'reversed':
      return lateCauses.includes(cause)
        ? late
        : `the leg ends (${reasons[cause] ?? cause}${after}). Its source had reversed it meanwhile: ${destination} is to hear of that now`
    case 'reversing':
    case 'completed':
    case 'expired':
      return late
    default:
      return undefined
  }
}

const lateCauses = ['answered', 'maybeSent', 'notSent']
const late = 'the leg ends, but somebody else had decided before. It is recorded and changes nothing'

/** Why an answer was none, or was not taken. */
const reasons: Readonly<Record<string, string>> = {
  timeout: 'no answer came in time',
  linkLost: 'the line was lost',
  badAnswer: 'the answer could not be trusted or read',
  wrongAmount: 'the approval was for another amount or currency',
  partialApproval: 'a part was approved, and the source can do with all of it only',
  postingRefused: 'the books would not take it',
  recovered: 'a node was gone before it knew',
  pinBlock: 'the PIN block was malformed',
  malformed: 'our own message could not be made',
  deadline: 'no answer came in time',
  ...refusals,
}

const notCommitted: Readonly<Record<string, string>> = {
  timeout: 'too late for the approval to be committed',
  postingRefused: 'the books would not take the entries',
}

/** What a source's reversal came to, by its cause. */
const nothingUndone: Readonly<Record<string, string>> = {
  'no leg to undo': 'nothing was ever sent that could be undone',
  'what it raised was taken by a completion': 'a completion has taken what it raised',
  'it was refunded, or a part of it': 'it was refunded, and money does not go back twice',
  'void after the cutover: refund instead': 'its business day is over; it is to be refunded',
  'undone already': 'it is undone already',
  'no such completion': 'no such completion is on record',
  'part of what was completed: refund instead': 'a completion has taken it; it is to be refunded',
  'part of what was not approved': 'nothing was approved of which a part could be kept',
  'no more than that is left': 'no more than that is left',
}

function cancelled({ cause, state }: Told, { destination, source }: Around): string | undefined {
  const nothing = nothingUndone[cause]
  if (nothing !== undefined) return `${source} reverses it, and there is nothing to undo: ${nothing}`
  if (cause === 'partial reversal')
    return `${source} keeps a part and reverses the rest. The books give it back, and ${destination} is to hear of it`
  if (cause === 'source reversal after the cutover')
    return `${source} tells that it was cancelled after its business day. Taken and flagged; ${destination} is to undo it`
  const completion = /^reversal of completion (\d+)(, and of the authorization with it)?$/.exec(cause)
  if (completion !== null) {
    const rest =
      completion[2] !== undefined
        ? 'It was the last that stood, so the authorization is undone with it'
        : state === 'approved'
          ? 'It is set aside again for others'
          : 'The others stand'
    return `${source} reverses completion ${completion[1]!}. The books give back what it took, and ${destination} is to hear of it. ${rest}`
  }
  if (cause !== 'source reversal') return undefined
  switch (state) {
    case 'reversing':
      return `${source} reverses it while it is under way. Declined; ${destination} hears of it once the leg has ended`
    case 'reversed':
      return `${source} reverses it. Undone in the books, and ${destination} is to undo it`
    case 'unknown':
      return `${source} reverses it too; its undoing is owed already`
    default:
      return `${source} reverses it, and there is nothing to undo`
  }
}

function completed({ cause, state }: Told, { destination, source }: Around): string | undefined {
  const forced: Readonly<Record<string, string>> = {
    'forced post: overTolerance': 'it takes more than was set aside and may be tolerated',
    'forced post: afterExpiry': 'what was set aside had expired',
  }
  const why = forced[cause]
  if (why !== undefined)
    return `${source} completes it: ${why}. Its rules let that be taken: posted and flagged, and ${destination} is to hear of it`
  if (/^completion( \d+(, (the last|others follow))?)?$/.test(cause)) {
    const rest = state === 'approved' ? 'the rest stays set aside' : 'what is left is let go'
    return `${source} tells what became of it (${cause}). So much is taken of what was set aside, ${rest}, and ${destination} is to hear of it`
  }
  return `${source} wants to complete it and is refused: ${cause}`
}

const owed: Readonly<Record<string, string>> = {
  reversal: 'the undoing',
  advice: 'what it was told',
}
