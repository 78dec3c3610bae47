import type { State } from './transaction.ts'

/** What an event amounts to for the state, once its content has been judged. */
export type Move =
  | 'approve'
  | 'decline'
  | 'notSent'
  | 'reroute'
  | 'lose'
  | 'late'
  | 'cancel'
  | 'overtake'
  | 'delivered'
  | 'undelivered'
  | 'unheard'
  | 'reduce'
  | 'complete'
  | 'capture'
  | 'uncapture'
  | 'nothingToUndo'
  | 'unproven'
  | 'reversalAcknowledged'
  | 'reversalParked'
  | 'adviceAcknowledged'
  | 'adviceParked'

/**
 * Every move a transaction can make. `lose` is every way of not knowing what the destination did; `cancel` is the
 * source's own reversal, `reduce` the same of a part, `complete` the taking of what was set aside, `capture` of a part of it, `uncapture` the
 * undoing of one completion, `nothingToUndo` any of these that has nothing to do, and `unheard` an answer to such a thing that did not arrive. An absent pair is a bug of
 * ours: what peers send out of turn is sorted out before.
 */
export const moves: Readonly<Record<State, Partial<Record<Move, State>>>> = {
  tombstone: { overtake: 'tombstone', cancel: 'tombstone', nothingToUndo: 'tombstone' },
  intent: {
    approve: 'approved',
    decline: 'declined',
    notSent: 'refused',
    reroute: 'intent',
    lose: 'unknown',
    cancel: 'reversing',
    nothingToUndo: 'intent',
  },
  // The source has been told no; whatever the destination says now only decides when it is told.
  reversing: {
    approve: 'reversed',
    decline: 'reversed',
    notSent: 'reversed',
    lose: 'reversed',
    late: 'reversing',
    cancel: 'reversing',
    nothingToUndo: 'reversing',
    reversalAcknowledged: 'reversing',
    reversalParked: 'reversing',
  },
  approved: {
    cancel: 'reversed',
    undelivered: 'reversed',
    delivered: 'approved',
    unproven: 'approved',
    unheard: 'approved',
    reduce: 'approved',
    complete: 'completed',
    capture: 'approved',
    uncapture: 'approved',
    reversalAcknowledged: 'approved',
    reversalParked: 'approved',
    adviceAcknowledged: 'approved',
    adviceParked: 'approved',
    nothingToUndo: 'approved',
    late: 'approved',
  },
  declined: { cancel: 'declined', nothingToUndo: 'declined', late: 'declined' },
  refused: { cancel: 'refused', nothingToUndo: 'refused', late: 'refused' },
  completed: {
    cancel: 'reversed',
    // One more, behind the time at which the rest was let go.
    complete: 'completed',
    delivered: 'completed',
    unproven: 'completed',
    reduce: 'completed',
    uncapture: 'completed',
    reversalAcknowledged: 'completed',
    reversalParked: 'completed',
    adviceAcknowledged: 'completed',
    adviceParked: 'completed',
    nothingToUndo: 'completed',
    late: 'completed',
  },
  expired: {
    cancel: 'reversed',
    complete: 'completed',
    delivered: 'expired',
    unproven: 'expired',
    nothingToUndo: 'expired',
    reversalAcknowledged: 'expired',
    reversalParked: 'expired',
    // Of a completion that was undone before the time came.
    adviceAcknowledged: 'expired',
    adviceParked: 'expired',
    late: 'expired',
  },
  unknown: {
    cancel: 'unknown',
    nothingToUndo: 'unknown',
    late: 'unknown',
    reversalAcknowledged: 'unknown',
    reversalParked: 'unknown',
  },
  reversed: {
    cancel: 'reversed',
    nothingToUndo: 'reversed',
    late: 'reversed',
    reversalAcknowledged: 'reversed',
    reversalParked: 'reversed',
    adviceAcknowledged: 'reversed',
    adviceParked: 'reversed',
  },
}
