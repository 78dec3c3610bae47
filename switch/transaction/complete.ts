import { toldOf } from '../results.ts'
import { adviceOf, completionName } from './owed.ts'
import type { CompletionRequest, Profile, Step, TransactionEvent } from './events.ts'
import { kinds } from './kinds.ts'
import type { Move } from './moves.ts'
import { complete as take } from './completion-postings.ts'
import { force } from './postings.ts'
import { type Change, type Extra, journalEvent, settle, unitOf } from './settle.ts'
import type { Advice, Answer, SourceAct, Transaction } from './transaction.ts'

/**
 * The taking of what an authorization set aside (§4.10). A completion tells what happened, so it is taken wherever an
 * authorization covers it; the source is answered once that is durable, which means that we own it (S1), and the
 * destination is told until it has acknowledged.
 */
export function completeAuthorization(
  before: Transaction,
  event: TransactionEvent & { kind: 'complete' },
  profile: Profile,
): Step {
  const { completion, hold } = event
  const judged = judge(before, event, profile)
  const openMinor = hold?.state === 'open' ? hold.openMinor : 0n
  switch (judged.kind) {
    case 'refused':
      return respond(before, event, judged.responseCode, 'nothingToUndo', {}, { cause: judged.cause })
    case 'covered':
    case 'forced': {
      const capturedMinor = completion.amountMinor < openMinor ? completion.amountMinor : openMinor
      const captures = (before.captures ?? 0) + 1
      // Whoever takes all that is left, or what isn't there any more, takes the last.
      const isFinal =
        completion.isPart !== true || judged.kind === 'forced' || completion.amountMinor >= openMinor
      return respond(
        before,
        event,
        '00',
        isFinal ? 'complete' : 'capture',
        {
          completedMinor: (before.completedMinor ?? 0n) + completion.amountMinor,
          capturedMinor: (before.capturedMinor ?? 0n) + capturedMinor,
          captures,
          completions: [
            ...(before.completions ?? []),
            {
              number: captures,
              sourceKey: completion.sourceKey,
              amountMinor: completion.amountMinor,
              heldMinor: capturedMinor,
              businessDate: profile.days.today,
              ...(judged.kind === 'forced' && judged.flag === afterExpiry ? { isLate: true as const } : {}),
            },
          ],
          advice: 'owed',
          ...(judged.kind === 'forced' ? { flag: judged.flag } : {}),
        },
        {
          cause: judged.kind === 'forced' ? `forced post: ${judged.flag}` : causeOf(isFinal, captures),
          commands: take(before, completion, { at: event.at, days: profile.days, openMinor, isFinal }),
          owe: [
            adviceOf(before, {
              name: completionName(captures),
              cause: 'completion',
              advice: adviceFor(completion, before.leg?.authId),
            }),
          ],
        },
      )
    }
  }
}

function causeOf(isFinal: boolean, captures: number): string {
  if (captures === 1 && isFinal) return 'completion'
  return `completion ${captures}${isFinal ? ', the last' : ', others follow'}`
}

type Judged =
  | { readonly kind: 'covered' }
  | { readonly kind: 'forced'; readonly flag: string }
  | { readonly kind: 'refused'; readonly responseCode: string; readonly cause: string }

function judge(
  before: Transaction,
  { completion, hold }: TransactionEvent & { kind: 'complete' },
  profile: Profile,
): Judged {
  const force = (flag: string, responseCode: string): Judged =>
    profile.forcedPost === 'flag'
      ? { kind: 'forced', flag }
      : { kind: 'refused', responseCode, cause: `${flag}, and its source wants no forced posts` }
  if (before.request === undefined || kinds[before.request.kind].books !== 'hold') {
    return {
      kind: 'refused',
      responseCode: toldOf(profile.told, 'invalidTransaction'),
      cause: 'a completion of what sets nothing aside',
    }
  }
  if (isOverdue(before, hold?.state === 'expired'))
    return force(afterExpiry, toldOf(profile.told, 'invalidTransaction'))
  // One that was never given, was undone, or was taken already: to take the money (again) would be wrong.
  if (before.state !== 'approved' || hold?.state !== 'open') {
    return {
      kind: 'refused',
      responseCode: toldOf(profile.told, 'invalidTransaction'),
      cause: `a completion of what is ${before.state}`,
    }
  }
  if (completion.isPart === true && completion.amountMinor === 0n)
    return {
      kind: 'refused',
      responseCode: toldOf(profile.told, 'invalidAmount'),
      cause: 'one of several completions, of nothing',
    }
  // What is tolerated is measured by all that was set aside, whatever was taken of it before.
  const heldMinor = hold.openMinor + (before.capturedMinor ?? 0n)
  const mostMinor = hold.openMinor + (heldMinor * BigInt(profile.tolerancePercent)) / 100n
  return completion.amountMinor > mostMinor
    ? force('overTolerance', toldOf(profile.told, 'invalidAmount'))
    : { kind: 'covered' }
}

/**
 * Its time ended before this came, with all of it or with what others had left. Who came too late once has taken the last of
 * it, and what was undone since is not there to be taken.
 */
function isOverdue({ completions = [], flag, state }: Transaction, hasHoldExpired: boolean): boolean {
  if (state === 'expired') return true
  // Its flag may tell of something else since; of before completions were kept, it alone tells.
  const wasLate = flag?.includes(afterExpiry) === true || completions.some(({ isLate }) => isLate === true)
  return hasHoldExpired && (state === 'approved' || (state === 'completed' && !wasLate))
}

const afterExpiry = 'afterExpiry'

/** A completion of nothing that we know, which its source's rules let us take: a transaction of its own, flagged. */
export function forcePost(
  event: TransactionEvent & { kind: 'completeUnknown' },
  { days }: Pick<Profile, 'days'>,
): Step {
  const { arrival, card, completion, leg, request } = event
  const answer = { responseCode: '00' }
  const transaction: Transaction = {
    ...arrival,
    version: 1,
    state: 'completed',
    node: event.node,
    receivedAt: event.at,
    card,
    request,
    leg,
    answer,
    completedMinor: completion.amountMinor,
    flag: 'unknownAuthorization',
    delivery: 'none',
    reversal: 'none',
    advice: 'owed',
  }
  const told = {
    name: completionName(1),
    cause: 'completion',
    advice: adviceFor(completion, request.authId),
  } as const
  return {
    transaction,
    unit: {
      ...unitOf(
        transaction,
        undefined,
        journalEvent(event, transaction, 'forced post: unknownAuthorization'),
      ),
      commands: force(transaction, { at: event.at, days }),
      owe: [adviceOf(transaction, told)],
      sourceAct: recordOf(completion, transaction.id, answer),
      urgent: true,
    },
    effects: [
      { kind: 'wake', destination: leg.destination },
      { kind: 'answerReversal', answer },
    ],
  }
}

function respond(
  before: Transaction,
  event: TransactionEvent & { kind: 'complete' },
  responseCode: string,
  move: Move,
  change: Change,
  extra: Extra,
): Step {
  const answer: Answer = { responseCode }
  const result = settle(before, event, move, change, { ...extra, urgent: true })
  return {
    ...result,
    unit: { ...result.unit, sourceAct: recordOf(event.completion, before.id, answer) },
    effects: [...result.effects, { kind: 'answerReversal', answer }],
  }
}

function adviceFor({ amountMinor, mti, part }: CompletionRequest, authId: string | undefined): Advice {
  return {
    ...{ mti, amountMinor, responseCode: '00' },
    ...(authId === undefined ? {} : { authId }),
    ...(part === undefined ? {} : { part }),
  }
}

function recordOf(completion: CompletionRequest, transactionId: string, answer: Answer): SourceAct {
  const { fingerprint, source, sourceKey } = completion
  return { kind: 'completion', source, sourceKey, fingerprint, transactionId, answer }
}
