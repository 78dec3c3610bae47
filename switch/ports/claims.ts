/**
 * Taking what may be delivered now, in one statement (the rules are in `lanes.ts`). Each look-up is on a partial index,
 * so its price is the number of lanes and not how much is owed; `OFFSET 0` keeps the planner from making one reading of the
 * table out of many look-ups.
 *
 * `now()`, since an index is not asked about a clock that moves on.
 *
 * $1 destination, $2 lanes, $3 how many, $4 lease in ms.
 */
export function claimStatement(order: 'card' | 'strict'): string {
  return `WITH seen AS MATERIALIZED (SELECT number FROM switch.turn WHERE destination = $1),
    barrier AS MATERIALIZED (
      SELECT position, id, next_at, lease_until FROM switch.obligation
       WHERE destination = $1 AND state = 'due' AND kind = 'reconciliation' ORDER BY position LIMIT 1),
    picked AS MATERIALIZED (${order === 'strict' ? head : heads}),
    mine AS (
      UPDATE switch.turn t SET number = t.number + 1 FROM seen
       WHERE t.destination = $1 AND t.number = seen.number AND EXISTS (SELECT FROM picked) RETURNING 1)
    UPDATE switch.obligation o
       SET attempts = o.attempts + 1, fence = o.fence + 1,
           lease_until = clock_timestamp() + $4 * interval '1 ms'
      FROM picked, mine
     WHERE o.id = picked.id AND o.state = 'due' AND o.next_at <= now()
       AND (o.lease_until IS NULL OR o.lease_until < now())
    RETURNING o.id, o.kind, o.cause, o.attempts, o.refusals, o.actual_minor, o.advice, o.fence, o.stan,
      o.transmitted_at, o.transaction_id, o.leg_id,
      (SELECT a.stan FROM switch.obligation a WHERE a.id = o.advice_id) AS undone_stan,
      (SELECT a.transmitted_at FROM switch.obligation a WHERE a.id = o.advice_id) AS undone_at,
      (SELECT a.advice FROM switch.obligation a WHERE a.id = o.advice_id) AS undone_advice`
}

/** Behind something of its own transaction that is parked: it waits for a person, and nobody else waits for it. */
const isHeld = (name: string): string => `EXISTS (
  SELECT FROM switch.obligation p
   WHERE p.transaction_id = ${name}.transaction_id AND p.state = 'parked' AND p.position < ${name}.position OFFSET 0)`

const isFree = (name: string): string =>
  `${name}.next_at <= now() AND (${name}.lease_until IS NULL OR ${name}.lease_until < now())`

/** Everything in order: the first that is not held back, if its time has come. */
const head = `
  SELECT first.id FROM (
    SELECT o.id, o.next_at, o.lease_until FROM switch.obligation o
     WHERE o.destination = $1 AND o.state = 'due' AND NOT ${isHeld('o')}
     ORDER BY o.position LIMIT 1) first
   WHERE ${isFree('first')} AND $2::int > 0 AND $3::int > 0`

/** Of each free lane the first card that waits for nothing; or the barrier, when all before it is done. */
const heads = `
  (SELECT one.id FROM generate_series(0, $2::int - 1) AS lane (number)
    CROSS JOIN LATERAL (
      SELECT o.id, o.next_at FROM switch.obligation o
       WHERE o.destination = $1 AND o.state = 'due' AND o.lane = lane.number AND o.next_at <= now()
         AND o.position < coalesce((SELECT position FROM barrier), 9223372036854775807)
         AND NOT EXISTS (
           SELECT FROM switch.obligation e
            WHERE e.card = o.card AND e.state = 'due' AND e.position < o.position AND e.destination = o.destination
              AND NOT ${isHeld('e')} OFFSET 0)
         AND NOT ${isHeld('o')}
       ORDER BY o.next_at LIMIT 1) one
    WHERE NOT EXISTS (
      SELECT FROM switch.obligation b
       WHERE b.destination = $1 AND b.lane = lane.number AND b.state = 'due' AND b.lease_until IS NOT NULL
         AND b.lease_until >= now() OFFSET 0)
    ORDER BY one.next_at LIMIT $3)
  UNION ALL
  SELECT b.id FROM barrier b
   WHERE ${isFree('b')} AND NOT EXISTS (
     SELECT FROM switch.obligation e
      WHERE e.destination = $1 AND e.state = 'due' AND e.position < b.position AND NOT ${isHeld('e')} OFFSET 0)`

/** Each age is told once for each obligation. */
export const overdueStatement = `
  WITH late AS (
    SELECT id, age FROM (
      ${['24 h', '10 min', '1 min'].map((age, index) => agedOver(age, 3 - index)).join(' UNION ALL ')}) aged),
  told AS (
    UPDATE switch.obligation o SET alarmed = late.age FROM (SELECT id, max(age) AS age FROM late GROUP BY id) late
     WHERE o.id = late.id AND o.alarmed < late.age RETURNING o.destination, o.alarmed)
  SELECT destination, alarmed AS age, count(*)::int AS count FROM told GROUP BY destination, alarmed ORDER BY 1, 2`

function agedOver(age: string, number: number): string {
  return Array.from(
    { length: number },
    (_, before) => `(SELECT id, ${number} AS age FROM switch.obligation
      WHERE state = 'due' AND alarmed = ${before} AND due_at < now() - interval '${age}'
      ORDER BY due_at LIMIT 1000)`,
  ).join(' UNION ALL ')
}
