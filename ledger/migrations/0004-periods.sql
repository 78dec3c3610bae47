SET LOCAL ROLE ledger_owner;

-- What a network's account is named after; the same patterns as in ledger/periods.ts.
CREATE FUNCTION ledger.network_of(path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN
  CASE WHEN path COLLATE "C" ~ '^(net|suspense|settlement|scheme):[^:]+' THEN split_part(path, ':', 2) END;

CREATE FUNCTION ledger.date_of(path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN
  CASE WHEN path COLLATE "C" ~ '^(net|suspense):[^:]+:[0-9]{4}-[0-9]{2}-[0-9]{2}:[A-Z]{3}$'
       THEN split_part(path, ':', 3) END;

-- A business date ends at midnight in Kuwait, three hours before that of UTC.
CREATE FUNCTION ledger.end_of(date text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN
  (date::date + 1)::timestamp AT TIME ZONE 'UTC' - interval '3 hours';

ALTER TABLE ledger.posting DROP CONSTRAINT posting_kind_check, DROP CONSTRAINT posting_check;
ALTER TABLE ledger.posting ADD CONSTRAINT posting_kind_check CHECK (kind IN
  ('post', 'authorize', 'increment', 'capture', 'release', 'void', 'expire', 'reverse', 'close', 'closePeriod'));
ALTER TABLE ledger.posting ADD CONSTRAINT posting_check CHECK
  ((kind IN ('increment', 'capture', 'release', 'void', 'expire')) = (hold_id IS NOT NULL));

-- Up to which date a network is closed, or all books ('*'). A projection of the postings of kind closePeriod.
CREATE TABLE ledger.period (
  shard smallint NOT NULL,
  scope text COLLATE "C" NOT NULL,
  through text COLLATE "C" NOT NULL CHECK (through ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'),
  -- The end of that date: what counts before it is refused.
  open_from timestamptz(3) NOT NULL,
  posting_id bigint NOT NULL,
  PRIMARY KEY (shard, scope),
  CHECK (open_from = ledger.end_of(through))
);
GRANT SELECT ON ledger.period TO ledger_writer, ledger_reader;
GRANT INSERT, UPDATE ON ledger.period TO ledger_writer;

CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON ledger.period
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse('a projection is not taken away');
CREATE TRIGGER goes_forward BEFORE UPDATE ON ledger.period FOR EACH ROW
  WHEN (NEW.shard <> OLD.shard OR NEW.scope <> OLD.scope OR NEW.through <= OLD.through)
  EXECUTE FUNCTION ledger.refuse('a period that was closed stays closed');

-- It is closed by a posting of the block that is being written, once every account of its dates is closed.
CREATE FUNCTION ledger.check_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger.posting p JOIN ledger.shard s ON s.shard = p.shard
                  WHERE p.id = NEW.posting_id AND p.kind = 'closePeriod' AND p.block_seq = s.head_seq + 1
                    AND p.shard = NEW.shard AND p.meta ->> 'scope' = NEW.scope AND p.meta ->> 'through' = NEW.through) THEN
    RAISE EXCEPTION 'a period is closed by a posting only' USING ERRCODE = 'MF001';
  END IF;
  IF EXISTS (SELECT FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
              WHERE (a.path >= 'net:' AND a.path < 'net;' OR a.path >= 'suspense:' AND a.path < 'suspense;')
                AND ledger.date_of(a.path) <= NEW.through AND NEW.scope IN ('*', ledger.network_of(a.path))
                AND NOT b.closed) THEN
    RAISE EXCEPTION 'an account of the period is open' USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER was_posted AFTER INSERT OR UPDATE ON ledger.period FOR EACH ROW EXECUTE FUNCTION ledger.check_period();

-- No date that is closed is opened again.
CREATE FUNCTION ledger.check_opening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added a JOIN ledger.period p ON p.shard = a.shard
              WHERE p.scope IN ('*', ledger.network_of(a.path)) AND ledger.date_of(a.path) <= p.through) THEN
    RAISE EXCEPTION 'an account of a date that is closed' USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER date_is_open AFTER INSERT ON ledger.account REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_opening();

-- A closed account stays as it is.
DROP TRIGGER goes_forward ON ledger.balance;
CREATE TRIGGER goes_forward BEFORE UPDATE ON ledger.balance FOR EACH ROW
  WHEN (NEW.account_id <> OLD.account_id OR NEW.no_overdraft <> OLD.no_overdraft
     OR NEW.normal_debit <> OLD.normal_debit OR OLD.closed
     OR (NEW.version <= OLD.version AND NEW.closed = OLD.closed) OR NEW.version < OLD.version)
  EXECUTE FUNCTION ledger.refuse('a balance only goes forward');

-- The checks below say what they said before, and more, for less: a statement's rows are looked at as a whole, and the
-- postings that its entries belong to are one range of ids.
CREATE OR REPLACE FUNCTION ledger.check_block_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT shard, block_seq FROM added) a LEFT JOIN ledger.shard s USING (shard)
             WHERE a.block_seq IS DISTINCT FROM s.head_seq + 1) THEN
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
  not_open boolean;
  earliest timestamptz;
  of_shard smallint;
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
    SELECT count(*), bool_or(p.block_seq IS DISTINCT FROM s.head_seq + 1), min(p.effective_at), min(p.shard)
      INTO known, not_open, earliest, of_shard
      FROM ledger.posting p LEFT JOIN ledger.shard s ON s.shard = p.shard
     WHERE p.id BETWEEN first_id AND last_id;
  ELSE
    SELECT count(p.id), bool_or(p.block_seq IS DISTINCT FROM s.head_seq + 1), min(p.effective_at), min(p.shard)
      INTO known, not_open, earliest, of_shard
      FROM (SELECT DISTINCT posting_id FROM added) a
      LEFT JOIN ledger.posting p ON p.id = a.posting_id
      LEFT JOIN ledger.shard s ON s.shard = p.shard;
  END IF;
  IF known <> ids OR not_open THEN
    RAISE EXCEPTION 'an entry belongs to a posting that is not open' USING ERRCODE = 'MF001';
  END IF;
  -- Only where something counts for a time that is closed for somebody need it be asked for whom.
  IF EXISTS (SELECT FROM ledger.period WHERE open_from > earliest AND shard = of_shard) THEN
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
