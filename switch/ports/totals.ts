import { totalOfKind } from '../reconciliation.ts'
import { hadItAlready } from '../results.ts'
import { type Kind, kinds } from '../transaction/kinds.ts'

const kindsOf = Object.entries(totalOfKind)
  .map(([kind, total]) => `('${kind}', '${total}', ${textArray(kinds[kind as Kind].approvals)})`)
  .join(', ')

/** Of constants. */
function textArray(texts: readonly string[]): string {
  return `'{${texts.join(',')}}'::text[]`
}

/** An answer to what is owed that says it was done, now or when it came before. */
const wasDone = (code: string): string => `(${code} = ANY($3) OR ${code} = ANY(${textArray(hadItAlready)}))`

/** What the answer on a leg said is paid for it; what is only set aside is settled when it is taken. */
const settlementOf = (leg: string, total: string): string =>
  `CASE WHEN ${total} <> 'authorization' THEN ${leg}.elsewhere -> 'settlement' END`

/** What the answer on a leg said is charged for it, or paid; what is only set aside has none yet. */
const feesOf = (leg: string, total: string): string =>
  `CASE WHEN ${total} IS DISTINCT FROM 'authorization' THEN ${leg}.elsewhere -> 'fees' END`

/**
 * Everything that a network did for us on one of its business dates, item by item: what the totals are made of, and what
 * is looked at when they don't agree. Legs count on the date of their transaction, what was told afterwards on the date
 * on which it was acknowledged (B3). A leg that nobody answered was done if its undoing was; one that was declined never was,
 * whatever its undoing is answered. Amounts are in the currency that the network said it settles that very exchange in, else in
 * that of the purchase; an undoing is in the currency in which what it undoes was counted. Of an authorization that is all
 * that its completions were paid with, one amount for each currency.
 *
 * What a network charges for it, or pays, is an item of its own, by its sign: what is given back counts on the other side. What
 * the terminal's side charges (DE28) is one too; the amounts have it in them where DE4 has it.
 *
 * $1 destination, $2 date, $3 what answers say when it was done, $4 whether what is undone as a whole gives the network's fees
 * back, $5 whether DE4 has DE28 in it.
 */
export const itemsStatement = itemsWith({ reversed: '$4', inAmount: '$5' })

/** The same without fees, the amounts as they were asked for: with all that is charged. */
export const amountItemsStatement = `SELECT * FROM (${itemsWith({ reversed: 'false', inAmount: 'true' })}) item
  WHERE total NOT IN ('processingFee', 'transactionFee')`

function itemsWith(fees: { readonly reversed: string; readonly inAmount: string }): string {
  const amount = `minor - CASE WHEN ${fees.inAmount} THEN 0 ELSE coalesce(fee_minor, 0) END`
  return `
  WITH total (kind, name, approvals) AS (VALUES ${kindsOf}),
  day AS (
    SELECT began_at AS from_at, coalesce((SELECT min(n.began_at) FROM switch.business_day n
             WHERE n.destination = d.destination AND n.number > d.number), 'infinity') AS until
      FROM switch.business_day d WHERE d.destination = $1 AND d.date = $2),
  leg AS (
    SELECT total.name, t.id, t.rrn, coalesce(paid.settlement ->> 'currency', t.currency) AS currency,
        coalesce((paid.settlement ->> 'amountMinor')::bigint, t.approved_minor, t.amount_minor) AS minor,
        fee.minor AS fee_minor, ${feesOf('l', 'total.name')} AS fees
      FROM switch.transaction t
      JOIN total ON total.kind = t.kind
      JOIN switch.leg l ON l.transaction_id = t.id AND l.destination = $1
      CROSS JOIN LATERAL (SELECT ${settlementOf('l', 'total.name')} AS settlement) paid
      CROSS JOIN LATERAL (SELECT CASE
          WHEN t.request ->> 'feeMinor' IS NULL THEN NULL
          WHEN paid.settlement IS NULL THEN least((t.request ->> 'feeMinor')::bigint, coalesce(t.approved_minor, t.amount_minor))
          ELSE (paid.settlement ->> 'feeMinor')::bigint END AS minor) fee
     WHERE t.business_date = $2
       AND CASE WHEN l.state = 'answered' AND l.response_code = ANY($3 || total.approvals) THEN true
             -- Nobody answered as far as is known by now, or in a way that may have been an approval.
             WHEN l.state IN ('intent', 'maybeSent', 'answered') THEN EXISTS (
               SELECT FROM switch.obligation o WHERE o.leg_id = l.id AND o.kind = 'reversal'
                  AND (l.state <> 'answered' OR o.cause = 'badAnswer')
                  AND o.state = 'acknowledged' AND ${wasDone('o.response_code')})
             ELSE false END),
  told AS (
    SELECT o.kind, o.cause, o.actual_minor, o.undone_minor, o.advice, o.response_code, o.settlement, o.leg_id, o.advice_id,
        t.id, t.rrn, t.currency,
        t.kind AS of, coalesce(t.approved_minor, t.amount_minor) AS approved_minor, t.completed_minor,
        -- An advice tells one amount.
        CASE WHEN o.advice_id IS NULL THEN (t.request ->> 'feeMinor')::bigint END AS fee_minor
      FROM switch.obligation o JOIN switch.transaction t ON t.id = o.transaction_id, day
     WHERE o.destination = $1 AND o.state = 'acknowledged'
       AND o.closed_at >= day.from_at AND o.closed_at < day.until),
  back AS (
    -- Each tells what it gives back beyond those before it. Of an authorization only what completions took was ever money.
    SELECT coalesce(total.name, 'debit') AS name, told.id, told.rrn, told.currency,
        -- What the network pays in another currency it takes back in that, in the same measure.
        CASE WHEN told.advice_id IS NULL THEN ${settlementOf('undone', 'total.name')} ELSE advised.settlement END AS settlement,
        CASE WHEN told.advice_id IS NULL THEN told.approved_minor
             ELSE coalesce((advised.advice ->> 'amountMinor')::bigint, told.approved_minor) END AS approved_minor,
        coalesce(told.actual_minor, 0) AS left_minor, told.advice_id IS NULL AND total.name = 'authorization' AS "isOfAll",
        told.fee_minor, CASE WHEN told.actual_minor IS NULL AND ${fees.reversed} THEN ${feesOf('undone', 'total.name')} END AS fees,
        CASE WHEN told.undone_minor IS NOT NULL AND total.name = 'authorization' THEN nullif(told.undone_minor, 0)
             -- Less may have been approved than was asked when its undoing was first owed.
             WHEN told.undone_minor IS NOT NULL THEN least(told.undone_minor, told.approved_minor)
             -- Of before this was kept.
             WHEN total.name = 'authorization' THEN told.completed_minor
             ELSE told.approved_minor - coalesce(told.actual_minor, 0) END AS minor
      FROM told LEFT JOIN total ON total.kind = told.of LEFT JOIN switch.leg undone ON undone.id = told.leg_id
      LEFT JOIN switch.obligation advised ON advised.id = told.advice_id
     WHERE told.kind = 'reversal' AND ${wasDone('told.response_code')}
       -- The undoing of what had been declined is acknowledged too, and gives nothing back.
       AND (told.cause = 'badAnswer' OR NOT EXISTS (
         SELECT FROM switch.leg l
          WHERE l.id = told.leg_id AND l.state = 'answered' AND NOT l.response_code = ANY($3)))),
  -- What the completions of an authorization were paid with, that it undoes all at once.
  paid AS (
    SELECT back.id, coalesce(o.settlement ->> 'currency', back.currency) AS currency,
        sum(coalesce((o.settlement ->> 'amountMinor')::bigint, (o.advice ->> 'amountMinor')::bigint))::bigint AS minor,
        bool_or(o.settlement IS NOT NULL) AS "isElsewhere"
      FROM back JOIN switch.obligation o ON o.transaction_id = back.id AND o.kind = 'advice' AND o.state = 'acknowledged'
     WHERE back."isOfAll" AND back.minor IS NOT NULL
       AND NOT EXISTS (SELECT FROM switch.obligation alone WHERE alone.transaction_id = back.id AND alone.advice_id = o.id)
     GROUP BY 1, 2),
  elsewhere AS (SELECT DISTINCT id FROM paid WHERE "isElsewhere"),
  undone AS (
    SELECT back.name, back.id, back.rrn, paid.currency, paid.minor, NULL::bigint AS fee_minor, NULL::jsonb AS fees
      FROM back JOIN elsewhere ON elsewhere.id = back.id JOIN paid ON paid.id = back.id
     WHERE back."isOfAll" AND back.minor IS NOT NULL
    UNION ALL
    SELECT name, back.id, rrn, coalesce(settlement ->> 'currency', currency) AS currency,
        CASE WHEN settlement IS NULL THEN minor
             -- What was paid for it before, less what is paid for what is left: parts make up the whole.
             ELSE (round((settlement ->> 'amountMinor')::numeric * (left_minor + minor) / approved_minor)
                 - round((settlement ->> 'amountMinor')::numeric * left_minor / approved_minor))::bigint END AS minor,
        -- Of an amount it goes back last.
        CASE WHEN fee_minor IS NULL THEN NULL
             WHEN settlement IS NULL THEN least(fee_minor, left_minor + minor) - least(fee_minor, left_minor)
             ELSE (round((settlement ->> 'feeMinor')::numeric * least(fee_minor, left_minor + minor) / fee_minor)
                 - round((settlement ->> 'feeMinor')::numeric * least(fee_minor, left_minor) / fee_minor))::bigint END AS fee_minor,
        fees
      FROM back LEFT JOIN elsewhere ON elsewhere.id = back.id AND "isOfAll"
     WHERE elsewhere.id IS NULL)
  SELECT name AS total, false AS "isReversal", id, rrn, currency, ${amount} AS minor FROM leg
  UNION ALL
  SELECT 'debit', false, id, rrn, coalesce(settlement ->> 'currency', currency),
      coalesce((settlement ->> 'amountMinor')::bigint, (advice ->> 'amountMinor')::bigint) FROM told
   WHERE kind = 'advice' AND ${wasDone('response_code')}
  UNION ALL
  SELECT CASE name WHEN 'authorization' THEN 'debit' ELSE name END, true, id, rrn, currency, ${amount} FROM undone
   WHERE minor IS NOT NULL
  UNION ALL
  SELECT 'transactionFee', false, id, rrn, currency, fee_minor FROM leg WHERE fee_minor > 0
  UNION ALL
  SELECT 'transactionFee', true, id, rrn, currency, fee_minor FROM undone WHERE minor IS NOT NULL AND fee_minor > 0
  UNION ALL
  SELECT 'processingFee', fee ->> 'sign' = 'C', id, rrn, fee ->> 'currency', (fee ->> 'amountMinor')::bigint
    FROM leg, jsonb_array_elements(fees) fee
  UNION ALL
  SELECT 'processingFee', fee ->> 'sign' = 'D', id, rrn, fee ->> 'currency', (fee ->> 'amountMinor')::bigint
    FROM undone, jsonb_array_elements(fees) fee WHERE minor IS NOT NULL`
}

export const totalsStatement = `
  SELECT currency,
      count(*) FILTER (WHERE total = 'credit' AND NOT "isReversal") AS "creditCount",
      count(*) FILTER (WHERE total = 'credit' AND "isReversal") AS "creditReversalCount",
      count(*) FILTER (WHERE total = 'debit' AND NOT "isReversal") AS "debitCount",
      count(*) FILTER (WHERE total = 'debit' AND "isReversal") AS "debitReversalCount",
      count(*) FILTER (WHERE total = 'transfer' AND NOT "isReversal") AS "transferCount",
      count(*) FILTER (WHERE total = 'transfer' AND "isReversal") AS "transferReversalCount",
      count(*) FILTER (WHERE total = 'inquiry') AS "inquiryCount",
      count(*) FILTER (WHERE total = 'authorization') AS "authorizationCount",
      coalesce(sum(minor) FILTER (WHERE total = 'processingFee' AND "isReversal"), 0)::bigint AS "creditProcessingFeeMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'transactionFee' AND "isReversal"), 0)::bigint AS "creditTransactionFeeMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'processingFee' AND NOT "isReversal"), 0)::bigint AS "debitProcessingFeeMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'transactionFee' AND NOT "isReversal"), 0)::bigint AS "debitTransactionFeeMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'credit' AND NOT "isReversal"), 0)::bigint AS "creditMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'credit' AND "isReversal"), 0)::bigint AS "creditReversalMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'debit' AND NOT "isReversal"), 0)::bigint AS "debitMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'debit' AND "isReversal"), 0)::bigint AS "debitReversalMinor"
    FROM (${itemsStatement}) item GROUP BY currency ORDER BY currency`
