SET LOCAL ROLE ledger_owner;

-- The same check in two looks instead of three: whether anything counts for a time that is closed for somebody is asked
-- together with whether the postings are open.
CREATE OR REPLACE FUNCTION ledger.check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  first_id bigint;
  last_id bigint;
  ids bigint;
  known bigint;
  not_open boolean;
  maybe_closed boolean;
BEGIN
  -- By posting, currency and layer: debits equal credits.
  SELECT min(posting_id), max(posting_id), count(DISTINCT posting_id), bool_or(sum <> 0)
    INTO first_id, last_id, ids, not_open
    FROM (SELECT posting_id, sum(amount) AS sum FROM added GROUP BY posting_id, currency, layer) sums;
  IF not_open THEN
    RAISE EXCEPTION 'a posting does not sum to zero' USING ERRCODE = 'MF001';
  END IF;
  IF ids IS NULL OR ids = 0 THEN
    RETURN NULL;
  END IF;
  -- Where the ids have no gap, the postings of the range are those of the entries, and are counted in one go.
  IF ids = last_id - first_id + 1 THEN
    SELECT count(*), bool_or(p.block_seq IS DISTINCT FROM s.head_seq + 1),
           min(p.effective_at) < (SELECT max(open_from) FROM ledger.period)
      INTO known, not_open, maybe_closed
      FROM ledger.posting p LEFT JOIN ledger.shard s ON s.shard = p.shard
     WHERE p.id BETWEEN first_id AND last_id;
  ELSE
    SELECT count(p.id), bool_or(p.block_seq IS DISTINCT FROM s.head_seq + 1),
           min(p.effective_at) < (SELECT max(open_from) FROM ledger.period)
      INTO known, not_open, maybe_closed
      FROM (SELECT DISTINCT posting_id FROM added) a
      LEFT JOIN ledger.posting p ON p.id = a.posting_id
      LEFT JOIN ledger.shard s ON s.shard = p.shard;
  END IF;
  IF known <> ids OR not_open THEN
    RAISE EXCEPTION 'an entry belongs to a posting that is not open' USING ERRCODE = 'MF001';
  END IF;
  -- Only then need it be asked for whom.
  IF maybe_closed THEN
    IF EXISTS (SELECT FROM added e
                 JOIN ledger.posting p ON p.id = e.posting_id
                 JOIN ledger.account a ON a.id = e.account_id
                 JOIN ledger.period c ON c.shard = p.shard AND c.scope IN ('*', ledger.network_of(a.path))
                WHERE e.layer = 0 AND p.effective_at < c.open_from) THEN
      RAISE EXCEPTION 'a posting counts for a date that is closed' USING ERRCODE = 'MF001';
    END IF;
  END IF;
  RETURN NULL;
END
$$;

RESET ROLE;
