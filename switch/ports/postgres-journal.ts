import { randomUUID } from 'node:crypto'
import { DatabaseError, type DatabasePool } from '../../kernel/database.ts'
import type { CurrencyCode } from '../../kernel/money.ts'
import { holdOf, type Ledger } from '../../ledger/ledger.ts'
import {
  type Claimed,
  type ClaimedObligation,
  type CommitOutcome,
  type CommitRefusal,
  type Journal,
  JournalUnavailable,
  type JournalUnit,
} from '../journal.ts'
import type {
  Advice,
  Answer,
  CardRequest,
  Completion,
  Leg,
  ObligationKind,
  SourceAct,
  Transaction,
} from '../transaction/transaction.ts'
import type { Conversion, SaidConversion } from '../conversion.ts'
import type { Fee } from '../fees.ts'
import type { Reconciliation, Totals } from '../reconciliation.ts'
import type { Kind } from '../transaction/kinds.ts'
import { claimStatement, overdueStatement } from './claims.ts'
import { rowsOf, type WritesUnder } from './rows.ts'

/**
 * The journal on PostgreSQL: writes through the books' commit writer, reads through a pool of its own. `lanesOf`: how many
 * lanes a destination has; `under`: what every write stands under, where there are several nodes.
 */
export function postgresJournal(
  ledger: Ledger,
  pool: DatabasePool,
  lanesOf: (destination: string) => number,
  under: () => WritesUnder | undefined = () => undefined,
): Journal {
  const turns = new Set<string>()
  const ask = async (text: string, values: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, [...values])).rows
    } catch {
      // Whatever the driver says may quote a row; and all of it means the same here.
      throw new JournalUnavailable()
    }
  }
  const transactions = async (where: string, values: readonly unknown[]): Promise<Transaction[]> =>
    (await ask(`${selectTransaction} ${where}`, values)).map(transactionOf)

  return {
    get available() {
      return ledger.status().state === 'up'
    },
    async commit(unit: JournalUnit): Promise<CommitOutcome> {
      // The key is the attempt's, for the writer's own retries: two attempts at one version are told apart by the guard.
      const key = `${unit.transaction.id}:${randomUUID()}`
      const { commands, urgent } = unit
      const outcome = await ledger.commit({ key, commands, rows: rowsOf(unit, lanesOf, under()), urgent })
      return outcome.kind === 'refused' ? { kind: 'refused', reason: refusalOf(outcome.reason) } : outcome
    },
    async transactionByKey(sourceKey) {
      return (await transactions('WHERE t.source_key = $1', [sourceKey]))[0]
    },
    async transactionById(id) {
      return (await transactions('WHERE t.id = $1', [id]))[0]
    },
    async sourceAct(sourceKey) {
      const rows = await ask('SELECT * FROM switch.source_act WHERE source_key = $1', [sourceKey])
      return rows[0] === undefined ? undefined : sourceActOf(rows[0])
    },
    async authorization({ source, rrn, authId }) {
      const found = await transactions(
        `WHERE t.rrn = $1 AND t.source = $2 AND t.auth_id = $3
         ORDER BY t.received_at LIMIT 1`,
        [rrn, source, authId],
      )
      return found[0]
    },
    async holdOf(reference) {
      try {
        return await holdOf(pool, reference)
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error
        throw new JournalUnavailable()
      }
    },
    stranded: ({ node, ownPast, limit }) =>
      transactions(
        `WHERE t.state IN ('intent', 'reversing')
           AND (t.approvable_until < clock_timestamp() - interval '2 seconds' OR ($1 AND t.node = $2))
         ORDER BY t.approvable_until LIMIT $3`,
        [ownPast, node, limit],
      ),
    undeliveredOf: (node, limit) =>
      transactions(
        `WHERE t.state = 'approved' AND t.delivery = 'none' AND t.node = $1 ORDER BY t.received_at LIMIT $2`,
        [node, limit],
      ),
    async claim({ destination, lanes, order, limit, leaseMs }) {
      if (!turns.has(destination)) {
        await ask(beginTurns, [destination, lanes])
        turns.add(destination)
      }
      const claimed = await ask(claimStatement(order), [destination, lanes, limit, leaseMs])
      if (claimed.length === 0) return []
      const ids = claimed.map((row) => row['transaction_id'])
      const owners = new Map(
        (await transactions('WHERE t.id = ANY($1)', [ids])).map((transaction) => [
          transaction.id,
          transaction,
        ]),
      )
      const legs = new Map(
        (await ask(`${selectLeg} WHERE l.id = ANY($1)`, [claimed.map((row) => row['leg_id'])])).map((row) => [
          text(row['leg_id']),
          legOf(row)!,
        ]),
      )
      return claimed.map((row): Claimed => {
        const leg = legs.get(text(row['leg_id']))
        const any = {
          id: text(row['id']),
          cause: text(row['cause']),
          attempts: Number(row['attempts']),
          refusals: Number(row['refusals']),
          fence: row['fence'] as bigint,
          ...(row['stan'] === null
            ? {}
            : { identity: { stan: text(row['stan']), transmittedAt: text(row['transmitted_at']) } }),
        }
        const kind = text(row['kind']) as ObligationKind
        if (kind === 'reconciliation')
          return { ...any, kind, reconciliation: reconciliationOf(row['advice'] as StoredReconciliation) }
        return {
          ...any,
          kind,
          ...(row['actual_minor'] === null ? {} : { actualMinor: row['actual_minor'] as bigint }),
          ...(row['advice'] === null ? {} : { advice: adviceOf(row['advice'] as StoredAdvice) }),
          transaction: owners.get(text(row['transaction_id']))!,
          ...(leg === undefined ? {} : { leg }),
          ...(row['undone_stan'] === null ? {} : { undone: undoneOf(row) }),
        }
      })
    },
    async name(claimed) {
      const kept = await ask(
        `UPDATE switch.obligation o SET stan = n.stan, transmitted_at = n.transmitted_at
           FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS n (id, fence, stan, transmitted_at)
          WHERE o.id = n.id AND o.fence = n.fence AND o.state = 'due' RETURNING o.id`,
        [
          claimed.map(({ id }) => id),
          claimed.map(({ fence }) => fence),
          claimed.map(({ identity }) => identity.stan),
          claimed.map(({ identity }) => identity.transmittedAt),
        ],
      )
      return new Set(kept.map((row) => text(row['id'])))
    },
    async postpone({ id, fence }, { delayMs, cause, kind }) {
      await ask(
        `UPDATE switch.obligation
            SET next_at = clock_timestamp() + $3 * interval '1 ms', lease_until = NULL, last_cause = $4,
                attempts = attempts - CASE WHEN $5 = 'unsent' THEN 1 ELSE 0 END,
                refusals = refusals + CASE WHEN $5 = 'refused' THEN 1 ELSE 0 END
          WHERE id = $1 AND fence = $2 AND state = 'due'`,
        [id, fence, delayMs, cause, kind],
      )
    },
    async reconciled({ id, fence }, { balance, described, responseCode }) {
      const closed = await ask(
        `WITH closed AS (
           UPDATE switch.obligation SET state = 'acknowledged', response_code = $3, closed_at = clock_timestamp(),
                  lease_until = NULL
            WHERE id = $1 AND fence = $2 AND state = 'due' RETURNING id)
         UPDATE switch.reconciliation r SET balance = $4, described = $5, answered_at = clock_timestamp()
           FROM closed WHERE r.obligation_id = closed.id RETURNING r.obligation_id`,
        [id, fence, responseCode, balance, described],
      )
      return closed.length === 1
    },
    async overdue() {
      const rows = await ask(overdueStatement, [])
      return rows.map((row) => ({
        destination: text(row['destination']),
        age: ages[Number(row['age']) - 1]!,
        count: Number(row['count']),
      }))
    },
  }
}

const ages = ['1 min', '10 min', '24 h'] as const

/** What is due is in the lane that the card has now: how many there are is configuration. */
const beginTurns = `WITH lane AS (
    UPDATE switch.obligation SET lane = card % $2::int
     WHERE destination = $1 AND state = 'due' AND lane <> card % $2::int)
  INSERT INTO switch.turn (destination) VALUES ($1) ON CONFLICT DO NOTHING`

type Row = Record<string, unknown>

/** Of a column that is text in PostgreSQL, or a uuid, which comes as text. */
function text(value: unknown): string {
  return value as string
}

const legColumns = `l.id AS leg_id, l.destination, l.acquirer_id, l.stan, l.transmitted_at, l.state AS leg_state,
    l.response_code AS leg_response_code, l.auth_id AS leg_auth_id, l.trace AS leg_trace, l.elsewhere AS leg_elsewhere`

const selectLeg = `SELECT ${legColumns} FROM switch.leg l`

/** Of a transaction's legs at most one may have left: those before it did not. */
const selectTransaction = `
  SELECT t.id, t.version, t.state, t.source, t.source_key, t.fingerprint, t.node, t.business_date::text,
    (extract(epoch FROM t.received_at) * 1000)::bigint AS received_ms,
    greatest(0, ceil(extract(epoch FROM t.approvable_until - clock_timestamp()) * 1000))::int AS approvable_ms,
    t.card_token, t.card_mask, t.amount_minor, t.currency, t.request, t.response_code, t.auth_id,
    t.kind, t.parent_id, t.additional_amounts, t.approved_minor, t.actual_minor, t.completed_minor, t.captured_minor,
    t.captures, t.completions, t.reversal_id, nullif(t.refunded_minor, 0) AS refunded_minor, t.flag, t.delivery,
    t.reversal, t.advice, t.rules, t.stand_in,
    ${legColumns}
  FROM switch.transaction t LEFT JOIN LATERAL (
    SELECT * FROM switch.leg WHERE transaction_id = t.id ORDER BY (state = 'notSent'), id DESC LIMIT 1) l ON true`

function transactionOf(row: Row): Transaction {
  const column = (name: string): string => text(row[name])
  const leg = legOf(row)
  const answer = answerOf(row, 'response_code', 'auth_id')
  const additionalAmounts = row['additional_amounts']
  // Only that says an amount, of whatever currency; what has an authorization id, or stands, is one.
  const isApproval = answer?.authId !== undefined || standing.includes(column('state'))
  return {
    id: column('id'),
    version: Number(row['version']),
    state: column('state') as Transaction['state'],
    source: column('source'),
    sourceKey: column('source_key'),
    fingerprint: column('fingerprint'),
    node: column('node'),
    businessDate: column('business_date'),
    receivedAt: Number(row['received_ms']),
    approvableForMs: Number(row['approvable_ms']),
    ...(row['card_mask'] === null
      ? {}
      : {
          card: {
            mask: column('card_mask'),
            ...(row['card_token'] === null ? {} : { token: column('card_token') }),
          },
        }),
    ...(row['request'] === null
      ? {}
      : {
          request: requestOf(row),
        }),
    ...(leg === undefined ? {} : { leg }),
    ...(answer === undefined
      ? {}
      : {
          answer: {
            ...answer,
            ...(additionalAmounts === null ? {} : { additionalAmounts: text(additionalAmounts) }),
            ...(isApproval && row['approved_minor'] !== null
              ? { amountMinor: row['approved_minor'] as bigint }
              : {}),
            ...(isApproval && leg?.billing !== undefined ? { billing: leg.billing } : {}),
          },
        }),
    ...optionalOf(row, 'parent_id', 'parentId'),
    ...optionalOf(row, 'approved_minor', 'approvedMinor'),
    ...optionalOf(row, 'actual_minor', 'actualMinor'),
    ...optionalOf(row, 'completed_minor', 'completedMinor'),
    ...optionalOf(row, 'captured_minor', 'capturedMinor'),
    ...optionalOf(row, 'captures', 'captures'),
    ...(row['completions'] === null
      ? {}
      : { completions: (row['completions'] as StoredCompletion[]).map(completionOf) }),
    ...optionalOf(row, 'reversal_id', 'reversalId'),
    ...optionalOf(row, 'refunded_minor', 'refundedMinor'),
    ...optionalOf(row, 'flag', 'flag'),
    ...optionalOf(row, 'rules', 'rules'),
    ...optionalOf(row, 'stand_in', 'standIn'),
    delivery: column('delivery') as Transaction['delivery'],
    reversal: column('reversal') as Transaction['reversal'],
    advice: column('advice') as Transaction['advice'],
  }
}

/** The states of what was approved and not undone as a whole. */
const standing: readonly string[] = ['approved', 'completed', 'expired'] satisfies Transaction['state'][]

function requestOf(row: Row): CardRequest {
  type Kept = Omit<CardRequest, 'kind' | 'amountMinor' | 'currency' | 'cashMinor' | 'feeMinor'> & {
    readonly cashMinor?: string
    readonly feeMinor?: string
  }
  const { cashMinor, feeMinor, ...elements } = row['request'] as Kept
  return {
    ...elements,
    kind: text(row['kind']) as Kind,
    amountMinor: row['amount_minor'] as bigint,
    currency: text(row['currency']) as CurrencyCode,
    ...(cashMinor === undefined ? {} : { cashMinor: BigInt(cashMinor) }),
    ...(feeMinor === undefined ? {} : { feeMinor: BigInt(feeMinor) }),
  }
}

function optionalOf<K extends keyof Transaction>(
  row: Row,
  column: string,
  name: K,
): Partial<Pick<Transaction, K>> {
  return row[column] === null ? {} : ({ [name]: row[column] } as Pick<Transaction, K>)
}

function legOf(row: Row): Leg | undefined {
  if (row['leg_id'] === null) return undefined
  return {
    id: text(row['leg_id']),
    destination: text(row['destination']),
    acquirerId: text(row['acquirer_id']),
    stan: text(row['stan']),
    transmittedAt: text(row['transmitted_at']),
    state: text(row['leg_state']) as Leg['state'],
    ...answerOf(row, 'leg_response_code', 'leg_auth_id'),
    ...(row['leg_trace'] === null ? {} : { trace: row['leg_trace'] as Record<string, string> }),
    ...(row['leg_elsewhere'] === null ? {} : elsewhereOf(row['leg_elsewhere'] as StoredElsewhere)),
  }
}

type AsText<Amounts> = {
  readonly [Name in keyof Amounts]: Amounts[Name] extends bigint ? string : Amounts[Name]
}
interface StoredElsewhere {
  readonly settlement?: StoredConversion
  readonly fees?: readonly AsText<Fee>[]
  readonly billing?: AsText<SaidConversion>
}

function elsewhereOf({
  billing,
  fees,
  settlement,
}: StoredElsewhere): Pick<Leg, 'settlement' | 'billing' | 'fees'> {
  return {
    ...(fees === undefined
      ? {}
      : { fees: fees.map((fee) => ({ ...fee, amountMinor: BigInt(fee.amountMinor) })) }),
    ...(billing === undefined ? {} : { billing: { ...billing, amountMinor: BigInt(billing.amountMinor) } }),
    ...(settlement === undefined ? {} : { settlement: conversionOf(settlement) }),
  }
}

type StoredConversion = AsText<Omit<Conversion, 'feeMinor'>> & { readonly feeMinor?: string }

function conversionOf({ amountMinor, feeMinor, roundingMinor, ...rest }: StoredConversion): Conversion {
  return {
    ...rest,
    amountMinor: BigInt(amountMinor),
    roundingMinor: BigInt(roundingMinor),
    ...(feeMinor === undefined ? {} : { feeMinor: BigInt(feeMinor) }),
  }
}

function answerOf(row: Row, responseCode: string, authId: string): Answer | undefined {
  if (row[responseCode] === null) return undefined
  const answer = { responseCode: text(row[responseCode]) }
  return row[authId] === null ? answer : { ...answer, authId: text(row[authId]) }
}

type StoredAdvice = Omit<Advice, 'amountMinor'> & { readonly amountMinor: string }

function undoneOf(row: Row): NonNullable<ClaimedObligation['undone']> {
  const identity = { stan: text(row['undone_stan']), transmittedAt: text(row['undone_at']) }
  if (row['undone_advice'] === null) return identity
  const { amountMinor, mti } = adviceOf(row['undone_advice'] as StoredAdvice)
  return { ...identity, mti, amountMinor }
}

function adviceOf({ amountMinor, ...rest }: StoredAdvice): Advice {
  return { ...rest, amountMinor: BigInt(amountMinor) }
}

type StoredCompletion = Omit<Completion, 'amountMinor' | 'heldMinor' | 'settlement'> & {
  readonly amountMinor: string
  readonly heldMinor: string
  readonly settlement?: StoredConversion
}

function completionOf({ amountMinor, heldMinor, settlement, ...rest }: StoredCompletion): Completion {
  return {
    ...rest,
    amountMinor: BigInt(amountMinor),
    heldMinor: BigInt(heldMinor),
    ...(settlement === undefined ? {} : { settlement: conversionOf(settlement) }),
  }
}

/** As `freeze` wrote it. */
export interface StoredReconciliation {
  readonly date: string
  readonly currency: CurrencyCode
  readonly totals: Readonly<Record<keyof Totals, string>>
}

function reconciliationOf({ currency, date, totals }: StoredReconciliation): Reconciliation {
  const counted = Object.entries(totals).map(([name, total]) => [name, BigInt(total)])
  return { date, currency, totals: Object.fromEntries(counted) as Totals }
}

function sourceActOf(row: Row): SourceAct {
  return {
    kind: text(row['kind']) as SourceAct['kind'],
    source: text(row['source']),
    sourceKey: text(row['source_key']),
    fingerprint: text(row['fingerprint']),
    transactionId: text(row['transaction_id']),
    answer: { responseCode: text(row['response_code']) },
  }
}

function refusalOf(reason: string): CommitRefusal {
  switch (reason) {
    case 'exists':
    case 'moved':
    case 'late':
    case 'fenced':
    case 'ousted':
    case 'exposure':
    case 'overRefund':
    case 'overloaded':
      return reason
    // Nothing was tried: for the caller it is as if there were no room.
    case 'unavailable':
      return 'overloaded'
    case 'closedAccount':
    case 'closedPeriod':
      return 'closed'
    default:
      return 'books'
  }
}
