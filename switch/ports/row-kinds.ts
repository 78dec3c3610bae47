import type { RowKind } from '../../ledger/ledger.ts'

/** What stands of earlier approvals in the issuer's place, of the card and of its range. */
const exposed = `
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0) AS sum, count(*) AS count FROM switch.exposure
     WHERE card_token = i.card_token AND currency = i.currency AND amount_minor > 0
       AND at > now() - interval '24 hours' OFFSET 0) card
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount_minor), 0) AS sum
      FROM (SELECT transaction_id, amount_minor FROM switch.exposure
             WHERE card_token = i.card_token AND currency = i.currency AND amount_minor > 0 OFFSET 0) e
     CROSS JOIN LATERAL (SELECT FROM switch.obligation
                          WHERE transaction_id = e.transaction_id AND kind = 'advice'
                            AND state IN ('due', 'parked') LIMIT 1) owed OFFSET 0) episode
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0) AS sum FROM switch.exposure
     WHERE rule = i.rule AND amount_minor > 0 AND at > now() - interval '1 hour' OFFSET 0) hour`

const withinLimits = `card.sum + i.amount_minor <= i.card_max AND card.count < i.card_count_max
  AND episode.sum + i.amount_minor <= i.episode_max AND hour.sum + i.amount_minor <= i.hour_max`

/** What was taken by a transaction, less what was given back of it: the most that may be refunded. */
const takenMinor = `CASE WHEN completed_minor IS NOT NULL THEN completed_minor
  WHEN kind IN ('authorization', 'preauthorization') THEN 0
  ELSE coalesce(actual_minor, approved_minor, amount_minor) END`

/** No other has taken the place of the node that writes. */
const mayWrite = `i.token IS NULL
  OR EXISTS (SELECT FROM switch.lease l WHERE l.name = i.lease AND l.token = i.token OFFSET 0)`

/**
 * The switch's rows in the books' commit: how each kind is written, and what must still be true when it is. Their values, in the
 * order of the columns, are made in `rows.ts`.
 */
export const journalRows: readonly RowKind[] = [
  {
    name: 'switch.transaction.new',
    columns: [
      ['id', 'uuid'],
      ['version', 'integer'],
      ['state', 'text'],
      ['source', 'text'],
      ['source_key', 'text'],
      ['fingerprint', 'text'],
      ['node', 'text'],
      ['business_date', 'date'],
      ['received_ms', 'bigint'],
      ['approvable_ms', 'integer'],
      ['card_token', 'text'],
      ['card_mask', 'text'],
      ['rrn', 'text'],
      ['terminal_id', 'text'],
      ['kind', 'text'],
      ['parent_id', 'uuid'],
      ['rules', 'integer'],
      ['amount_minor', 'bigint'],
      ['currency', 'text'],
      ['request', 'jsonb'],
      ['completed_minor', 'bigint'],
      ['flag', 'text'],
      ['response_code', 'text'],
      ['delivery', 'text'],
      ['reversal', 'text'],
      ['advice', 'text'],
    ],
    claims: ['source_key'],
    guard: `SELECT i.ordinal, 'exists' AS reason FROM input i
      CROSS JOIN LATERAL (SELECT FROM switch.transaction WHERE source_key = i.source_key OFFSET 0) t`,
    write: {
      into: `switch.transaction (id, version, state, source, source_key, fingerprint, node, business_date,
        received_at, approvable_until, card_token, card_mask, rrn, terminal_id, kind, parent_id, rules,
        amount_minor, currency, request, completed_minor, flag, response_code, delivery, reversal, advice)`,
      values: `id, version, state, source, source_key, fingerprint, node, business_date,
        to_timestamp(received_ms / 1000.0), clock_timestamp() + approvable_ms * interval '1 ms',
        card_token, card_mask, rrn, terminal_id, kind, parent_id, rules, amount_minor, currency, request, completed_minor,
        flag, response_code, delivery, reversal, advice`,
    },
  },
  {
    name: 'switch.transaction.change',
    columns: [
      ['id', 'uuid'],
      ['expected_version', 'integer'],
      ['version', 'integer'],
      ['state', 'text'],
      ['response_code', 'text'],
      ['auth_id', 'text'],
      ['additional_amounts', 'text'],
      ['approved_minor', 'bigint'],
      ['actual_minor', 'bigint'],
      ['completed_minor', 'bigint'],
      ['captured_minor', 'bigint'],
      ['captures', 'smallint'],
      ['completions', 'jsonb'],
      ['reversal_id', 'uuid'],
      ['flag', 'text'],
      ['stand_in', 'text'],
      ['business_date', 'date'],
      ['delivery', 'text'],
      ['reversal', 'text'],
      ['advice', 'text'],
      ['only_while_approvable', 'boolean'],
    ],
    claims: ['id'],
    // Without a lock: whoever else would move the transaction waits for the shard, and the write asks again.
    guard: `SELECT i.ordinal, CASE WHEN t.version <> i.expected_version THEN 'moved' ELSE 'late' END AS reason
      FROM input i
      CROSS JOIN LATERAL (SELECT version, approvable_until FROM switch.transaction WHERE id = i.id OFFSET 0) t
      WHERE t.version <> i.expected_version
        OR (i.only_while_approvable AND t.approvable_until <= clock_timestamp())`,
    write: `UPDATE switch.transaction t
      SET version = i.version, state = i.state, response_code = i.response_code, auth_id = i.auth_id,
        additional_amounts = i.additional_amounts, approved_minor = i.approved_minor, actual_minor = i.actual_minor,
        completed_minor = i.completed_minor, captured_minor = i.captured_minor,
        captures = i.captures, completions = i.completions, reversal_id = i.reversal_id, flag = i.flag, stand_in = i.stand_in,
        business_date = i.business_date, delivery = i.delivery, reversal = i.reversal, advice = i.advice
      FROM (SELECT input.*, found.place FROM input
             CROSS JOIN LATERAL (SELECT ctid AS place FROM switch.transaction
                                  WHERE id = input.id AND version = input.expected_version
                                    AND (NOT input.only_while_approvable OR approvable_until > clock_timestamp())
                                 OFFSET 0) found) i
      WHERE t.ctid = i.place`,
  },
  {
    name: 'switch.leg.new',
    columns: [
      ['id', 'uuid'],
      ['transaction_id', 'uuid'],
      ['destination', 'text'],
      ['acquirer_id', 'text'],
      ['stan', 'text'],
      ['transmitted_at', 'text'],
      ['state', 'text'],
    ],
    write: {
      into: `switch.leg (id, transaction_id, destination, acquirer_id, stan, transmitted_at, state)`,
      values: `id, transaction_id, destination, acquirer_id, stan, transmitted_at, state`,
    },
  },
  {
    name: 'switch.leg.change',
    columns: [
      ['id', 'uuid'],
      ['state', 'text'],
      ['response_code', 'text'],
      ['auth_id', 'text'],
      ['trace', 'jsonb'],
      ['elsewhere', 'jsonb'],
    ],
    write: `UPDATE switch.leg l
      SET state = i.state, response_code = i.response_code, auth_id = i.auth_id, trace = i.trace, elsewhere = i.elsewhere
      FROM (SELECT input.*, found.place FROM input
             CROSS JOIN LATERAL (SELECT ctid AS place FROM switch.leg WHERE id = input.id OFFSET 0) found) i
      WHERE l.ctid = i.place`,
  },
  {
    name: 'switch.event',
    columns: [
      ['transaction_id', 'uuid'],
      ['sequence', 'integer'],
      ['kind', 'text'],
      ['at_ms', 'bigint'],
      ['node', 'text'],
      ['business_date', 'date'],
      ['cause', 'text'],
      ['detail', 'jsonb'],
      ['lease', 'text'],
      ['token', 'bigint'],
    ],
    // Every unit says what happened, so here is asked whether its node may still write anything.
    guard: `SELECT i.ordinal, 'ousted' AS reason FROM input i WHERE NOT (${mayWrite})`,
    write: `INSERT INTO switch.event (transaction_id, sequence, kind, at, node, business_date, cause, detail)
      SELECT transaction_id, sequence, kind, to_timestamp(at_ms / 1000.0), node, business_date, cause, detail
        FROM input i WHERE ${mayWrite}`,
  },
  {
    // What was set aside is let go at its time, whatever version the transaction has come to by then.
    name: 'switch.transaction.expire',
    columns: [['id', 'uuid']],
    claims: ['id'],
    guard: `SELECT i.ordinal, 'moved' AS reason FROM input i
      CROSS JOIN LATERAL (SELECT state FROM switch.transaction WHERE id = i.id OFFSET 0) t
      WHERE t.state <> 'approved'`,
    // Of what was taken in part the rest has expired: that is the end of it.
    write: `UPDATE switch.transaction t SET version = t.version + 1,
        state = CASE WHEN coalesce(t.completed_minor, 0) = 0 THEN 'expired' ELSE 'completed' END
      FROM (SELECT input.*, found.place FROM input
             CROSS JOIN LATERAL (SELECT ctid AS place FROM switch.transaction
                                  WHERE id = input.id AND state = 'approved' OFFSET 0) found) i
      WHERE t.ctid = i.place`,
  },
  {
    // Behind the row above, which has counted the version.
    name: 'switch.event.expired',
    columns: [
      ['transaction_id', 'uuid'],
      ['at_ms', 'bigint'],
    ],
    write: `INSERT INTO switch.event (transaction_id, sequence, kind, at, node, business_date, cause, detail)
      SELECT i.transaction_id, t.version, 'expired', to_timestamp(i.at_ms / 1000.0), t.node, t.business_date,
        CASE t.state WHEN 'expired' THEN 'nobody completed it in time' ELSE 'nobody took the rest in time' END,
        jsonb_build_object('state', t.state)
        FROM input i
        CROSS JOIN LATERAL (SELECT version, state, node, business_date FROM switch.transaction WHERE id = i.transaction_id OFFSET 0) t`,
  },
  {
    // A refund claims its part of what was taken before it leaves: two at once are never more than that.
    name: 'switch.transaction.refund',
    columns: [
      ['id', 'uuid'],
      ['refund_minor', 'bigint'],
    ],
    claims: ['id'],
    guard: `SELECT i.ordinal, 'overRefund' AS reason FROM input i
      CROSS JOIN LATERAL (SELECT state, refunded_minor, ${takenMinor} AS taken_minor
                            FROM switch.transaction WHERE id = i.id OFFSET 0) t
      WHERE i.refund_minor > 0
        AND (t.state NOT IN ('approved', 'completed') OR t.refunded_minor + i.refund_minor > t.taken_minor)`,
    write: `UPDATE switch.transaction t
      SET version = t.version + 1, refunded_minor = t.refunded_minor + i.refund_minor
      FROM (SELECT input.*, found.place FROM input
             CROSS JOIN LATERAL (SELECT ctid AS place FROM switch.transaction
                                  WHERE id = input.id
                                    AND (input.refund_minor < 0 OR (state IN ('approved', 'completed')
                                      AND refunded_minor + input.refund_minor <= ${takenMinor}))
                                 OFFSET 0) found) i
      WHERE t.ctid = i.place`,
  },
  {
    // Behind the row above, which has counted the version.
    name: 'switch.event.refund',
    columns: [
      ['transaction_id', 'uuid'],
      ['child', 'text'],
      ['refund_minor', 'bigint'],
      ['at_ms', 'bigint'],
      ['node', 'text'],
      ['business_date', 'date'],
    ],
    write: `INSERT INTO switch.event (transaction_id, sequence, kind, at, node, business_date, cause, detail)
      SELECT i.transaction_id, t.version, 'refund', to_timestamp(i.at_ms / 1000.0), i.node, i.business_date,
        CASE WHEN i.refund_minor > 0 THEN 'claimed by a refund' ELSE 'given up by a refund' END,
        jsonb_build_object('state', t.state, 'refund', i.child, 'minor', abs(i.refund_minor)::text)
        FROM input i
        CROSS JOIN LATERAL (SELECT version, state FROM switch.transaction WHERE id = i.transaction_id OFFSET 0) t`,
  },
  {
    name: 'switch.source_act',
    columns: [
      ['kind', 'text'],
      ['source_key', 'text'],
      ['source', 'text'],
      ['fingerprint', 'text'],
      ['transaction_id', 'uuid'],
      ['response_code', 'text'],
    ],
    claims: ['source_key'],
    guard: `SELECT i.ordinal, 'exists' AS reason FROM input i
      CROSS JOIN LATERAL (SELECT FROM switch.source_act WHERE source_key = i.source_key OFFSET 0) r`,
    write: {
      into: `switch.source_act (kind, source_key, source, fingerprint, transaction_id, response_code)`,
      values: `kind, source_key, source, fingerprint, transaction_id, response_code`,
    },
  },
  {
    name: 'switch.obligation.new',
    columns: [
      ['id', 'uuid'],
      ['kind', 'text'],
      ['key', 'text'],
      ['transaction_id', 'uuid'],
      ['leg_id', 'uuid'],
      ['advice_id', 'uuid'],
      ['destination', 'text'],
      ['cause', 'text'],
      ['actual_minor', 'bigint'],
      ['undone_minor', 'bigint'],
      ['advice', 'jsonb'],
      ['card', 'integer'],
      ['lane', 'smallint'],
      ['delay_ms', 'integer'],
    ],
    write: {
      into: `switch.obligation (id, kind, key, transaction_id, leg_id, advice_id, destination, cause, actual_minor,
        undone_minor, advice, card, lane, next_at)`,
      values: `id, kind, key, transaction_id, leg_id, advice_id, destination, cause, actual_minor, undone_minor, advice,
        card, lane, clock_timestamp() + delay_ms * interval '1 ms'`,
    },
  },
  {
    name: 'switch.obligation.change',
    columns: [
      ['id', 'uuid'],
      ['change', 'text'],
      ['fence', 'bigint'],
      ['response_code', 'text'],
      ['settlement', 'jsonb'],
    ],
    claims: ['id'],
    guard: `SELECT i.ordinal, 'fenced' AS reason FROM input i
      CROSS JOIN LATERAL (SELECT fence, state FROM switch.obligation WHERE id = i.id OFFSET 0) o
      WHERE i.fence IS NOT NULL AND (o.fence <> i.fence OR o.state <> 'due')`,
    write: `UPDATE switch.obligation o
      SET state = CASE WHEN i.change = 'due' OR o.state <> 'due' THEN o.state ELSE i.change END,
        next_at = CASE WHEN i.change = 'due' THEN least(o.next_at, clock_timestamp()) ELSE o.next_at END,
        lease_until = CASE WHEN i.change = 'due' THEN o.lease_until END,
        response_code = coalesce(i.response_code, o.response_code),
        settlement = i.settlement,
        closed_at = CASE WHEN i.change = 'due' THEN o.closed_at ELSE clock_timestamp() END
      FROM (SELECT input.*, found.place FROM input
             CROSS JOIN LATERAL (SELECT ctid AS place FROM switch.obligation
                                  WHERE id = input.id
                                    AND (input.fence IS NULL OR (fence = input.fence AND state = 'due'))
                                 OFFSET 0) found) i
      WHERE o.ctid = i.place`,
  },
  {
    // Windows that slide (P3): what a card did in 24 hours, what a range did in one, and what a card did that its issuer
    // does not know of yet. Writers take turns, so what is summed here is all there is.
    name: 'switch.exposure.new',
    columns: [
      ['transaction_id', 'uuid'],
      ['rule', 'text'],
      ['card_token', 'text'],
      ['currency', 'text'],
      ['amount_minor', 'bigint'],
      ['card_max', 'bigint'],
      ['card_count_max', 'integer'],
      ['episode_max', 'bigint'],
      ['hour_max', 'bigint'],
    ],
    claims: ['rule'],
    guard: `SELECT i.ordinal, 'exposure' AS reason FROM input i ${exposed} WHERE NOT (${withinLimits})`,
    write: `INSERT INTO switch.exposure (transaction_id, rule, card_token, currency, amount_minor)
      SELECT i.transaction_id, i.rule, i.card_token, i.currency, i.amount_minor FROM input i ${exposed}
       WHERE ${withinLimits}`,
  },
  {
    name: 'switch.exposure.change',
    columns: [
      ['transaction_id', 'uuid'],
      ['amount_minor', 'bigint'],
    ],
    write: `UPDATE switch.exposure e SET amount_minor = i.amount_minor
      FROM (SELECT input.*, found.place FROM input
             CROSS JOIN LATERAL (SELECT ctid AS place FROM switch.exposure
                                  WHERE transaction_id = input.transaction_id OFFSET 0) found) i
      WHERE e.ctid = i.place`,
  },
]
