SET LOCAL ROLE ledger_owner;

-- The same checks, with one look at the head of the shard instead of one for each row: what a statement adds is of one
-- shard and one block, so it is enough to ask that of the first and the last of them.

CREATE OR REPLACE FUNCTION ledger.check_block_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) > 0 AND NOT (
               min(shard) = max(shard) AND min(block_seq) = max(block_seq)
               AND EXISTS (SELECT FROM ledger.shard s
                            WHERE s.shard = min(added.shard) AND s.head_seq + 1 = min(added.block_seq)))
        FROM added) THEN
    RAISE EXCEPTION 'ledger.% belongs to a block that is not open', TG_TABLE_NAME USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION ledger.check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  first_id bigint;
  last_id bigint;
  ids bigint;
  known bigint;
  unbalanced boolean;
  open boolean;
  maybe_closed boolean;
BEGIN
  -- By posting, currency and layer: debits equal credits.
  SELECT min(posting_id), max(posting_id), count(DISTINCT posting_id), bool_or(sum <> 0)
    INTO first_id, last_id, ids, unbalanced
    FROM (SELECT posting_id, sum(amount) AS sum FROM added GROUP BY posting_id, currency, layer) sums;
  IF unbalanced THEN
    RAISE EXCEPTION 'a posting does not sum to zero' USING ERRCODE = 'MF001';
  END IF;
  IF ids IS NULL OR ids = 0 THEN
    RETURN NULL;
  END IF;
  -- Where the ids have no gap, the postings of the range are those of the entries, and are counted in one go.
  IF ids = last_id - first_id + 1 THEN
    SELECT count(*),
           min(p.shard) = max(p.shard) AND min(p.block_seq) = max(p.block_seq)
           AND EXISTS (SELECT FROM ledger.shard s WHERE s.shard = min(p.shard) AND s.head_seq + 1 = min(p.block_seq)),
           min(p.effective_at) < (SELECT max(open_from) FROM ledger.period)
      INTO known, open, maybe_closed
      FROM ledger.posting p
     WHERE p.id BETWEEN first_id AND last_id;
  ELSE
    SELECT count(*),
           min(p.shard) = max(p.shard) AND min(p.block_seq) = max(p.block_seq)
           AND EXISTS (SELECT FROM ledger.shard s WHERE s.shard = min(p.shard) AND s.head_seq + 1 = min(p.block_seq)),
           min(p.effective_at) < (SELECT max(open_from) FROM ledger.period)
      INTO known, open, maybe_closed
      FROM (SELECT DISTINCT posting_id FROM added) a
      JOIN ledger.posting p ON p.id = a.posting_id;
  END IF;
  IF known <> ids OR open IS NOT TRUE THEN
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

-- Asked after the row is changed, which refuses it as well: a trigger before the change locks each row, and logs that.
DROP TRIGGER goes_forward ON ledger.balance;
CREATE TRIGGER goes_forward AFTER UPDATE ON ledger.balance FOR EACH ROW
  WHEN (NEW.account_id <> OLD.account_id OR NEW.no_overdraft <> OLD.no_overdraft
     OR NEW.normal_debit <> OLD.normal_debit OR (OLD.closed AND NOT NEW.closed)
     OR (NEW.version <= OLD.version AND NEW.closed = OLD.closed) OR NEW.version < OLD.version)
  EXECUTE FUNCTION ledger.refuse('a balance only goes forward');
DROP TRIGGER ends_once ON ledger.hold;
CREATE TRIGGER ends_once AFTER UPDATE ON ledger.hold FOR EACH ROW
  WHEN (OLD.state <> 'open' OR NEW.id <> OLD.id OR NEW.currency <> OLD.currency
     OR NEW.captured < OLD.captured OR NEW.amount < OLD.amount OR NEW.version <= OLD.version)
  EXECUTE FUNCTION ledger.refuse('a hold that has ended stays so');

RESET ROLE;
