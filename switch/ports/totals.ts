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

/**
 * Everything that a network did for us on one of its business dates, item by item: what the totals are made of, and what
 * is looked at when they don't agree. Legs count on the date of their transaction, what was told afterwards on the date
 * on which it was acknowledged (B3). A leg that nobody answered was done if its undoing was; one that was declined never was,
 * whatever its undoing is answered.
 *
 * $1 destination, $2 date, $3 what answers say when it was done.
 */
export const itemsStatement = `
  WITH total (kind, name, approvals) AS (VALUES ${kindsOf}),
  day AS (
    SELECT began_at AS from_at, coalesce((SELECT min(n.began_at) FROM switch.business_day n
             WHERE n.destination = d.destination AND n.number > d.number), 'infinity') AS until
      FROM switch.business_day d WHERE d.destination = $1 AND d.date = $2),
  leg AS (
    SELECT total.name, t.id, t.rrn, coalesce(l.elsewhere -> 'settlement' ->> 'currency', t.currency) AS currency,
        coalesce((l.elsewhere -> 'settlement' ->> 'amountMinor')::bigint, t.approved_minor, t.amount_minor) AS minor
      FROM switch.transaction t
      JOIN total ON total.kind = t.kind
      JOIN switch.leg l ON l.transaction_id = t.id AND l.destination = $1
     WHERE t.business_date = $2
       AND CASE WHEN l.state = 'answered' AND l.response_code = ANY($3 || total.approvals) THEN true
             -- Nobody answered, or in a way that may have been an approval.
             WHEN l.state IN ('maybeSent', 'answered') THEN EXISTS (
               SELECT FROM switch.obligation o WHERE o.leg_id = l.id AND o.kind = 'reversal'
                  AND (l.state = 'maybeSent' OR o.cause = 'badAnswer')
                  AND o.state = 'acknowledged' AND ${wasDone('o.response_code')})
             ELSE false END),
  told AS (
    SELECT o.kind, o.cause, o.actual_minor, o.undone_minor, o.advice, o.response_code, o.leg_id, o.advice_id, t.id, t.rrn, t.currency,
        t.kind AS of, coalesce(t.approved_minor, t.amount_minor) AS approved_minor, t.completed_minor,
        -- What the network pays in another currency it takes back in that, in the same measure.
        (SELECT l.elsewhere -> 'settlement' FROM switch.leg l
          WHERE l.transaction_id = t.id AND l.elsewhere -> 'settlement' IS NOT NULL LIMIT 1) AS settlement
      FROM switch.obligation o JOIN switch.transaction t ON t.id = o.transaction_id, day
     WHERE o.destination = $1 AND o.state = 'acknowledged'
       AND o.closed_at >= day.from_at AND o.closed_at < day.until),
  back AS (
    -- Each tells what it gives back beyond those before it. Of an authorization only what completions took was ever money.
    SELECT coalesce(total.name, 'debit') AS name, told.id, told.rrn, told.currency,
        told.settlement, told.approved_minor, coalesce(told.actual_minor, 0) AS left_minor,
        CASE WHEN told.undone_minor IS NOT NULL AND total.name = 'authorization' THEN nullif(told.undone_minor, 0)
             -- Less may have been approved than was asked when its undoing was first owed.
             WHEN told.undone_minor IS NOT NULL THEN least(told.undone_minor, told.approved_minor)
             -- Of before this was kept.
             WHEN total.name = 'authorization' THEN told.completed_minor
             ELSE told.approved_minor - coalesce(told.actual_minor, 0) END AS minor
      FROM told LEFT JOIN total ON total.kind = told.of
     WHERE told.kind = 'reversal' AND ${wasDone('told.response_code')}
       -- The undoing of what had been declined is acknowledged too, and gives nothing back.
       AND (told.cause = 'badAnswer' OR NOT EXISTS (
         SELECT FROM switch.leg l
          WHERE l.id = told.leg_id AND l.state = 'answered' AND NOT l.response_code = ANY($3)))),
  undone AS (
    SELECT name, id, rrn, coalesce(settlement ->> 'currency', currency) AS currency,
        CASE WHEN settlement IS NULL THEN minor
             -- What was paid for it before, less what is paid for what is left: parts make up the whole.
             ELSE (round((settlement ->> 'amountMinor')::numeric * (left_minor + minor) / approved_minor)
                 - round((settlement ->> 'amountMinor')::numeric * left_minor / approved_minor))::bigint END AS minor
      FROM back)
  SELECT name AS total, false AS "isReversal", id, rrn, currency, minor FROM leg
  UNION ALL
  SELECT 'debit', false, id, rrn, currency, (advice ->> 'amountMinor')::bigint FROM told
   WHERE kind = 'advice' AND ${wasDone('response_code')}
  UNION ALL
  SELECT CASE name WHEN 'authorization' THEN 'debit' ELSE name END, true, id, rrn, currency, minor FROM undone
   WHERE minor IS NOT NULL`

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
      coalesce(sum(minor) FILTER (WHERE total = 'credit' AND NOT "isReversal"), 0)::bigint AS "creditMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'credit' AND "isReversal"), 0)::bigint AS "creditReversalMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'debit' AND NOT "isReversal"), 0)::bigint AS "debitMinor",
      coalesce(sum(minor) FILTER (WHERE total = 'debit' AND "isReversal"), 0)::bigint AS "debitReversalMinor"
    FROM (${itemsStatement}) item GROUP BY currency ORDER BY currency`
