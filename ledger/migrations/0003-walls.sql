SET LOCAL ROLE ledger_owner;

-- The first wall: the writer may add, and may change projections only; nobody but the owner may take away.
GRANT SELECT ON ledger.currency, ledger.shard, ledger.block, ledger.account, ledger.unit, ledger.posting,
  ledger.entry, ledger.balance, ledger.hold TO ledger_writer, ledger_reader;
GRANT INSERT ON ledger.account, ledger.unit, ledger.posting, ledger.entry, ledger.block TO ledger_writer;
GRANT INSERT, UPDATE ON ledger.balance, ledger.hold TO ledger_writer;
GRANT UPDATE ON ledger.shard TO ledger_writer;

-- The second wall: triggers, which hold for the owner too. What they raise has the SQLSTATE MF001.

CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of ledger.% is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'MF001';
END
$$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['currency', 'account', 'unit', 'posting', 'entry', 'block'] LOOP
    EXECUTE format(
      'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I
       FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse(''what is written stays'')', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['shard', 'balance', 'hold'] LOOP
    EXECUTE format(
      'CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON ledger.%I
       FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse(''a projection is not taken away'')', name);
  END LOOP;
END
$$;

-- Rows can be added only to the block that is being written; a block is closed when the shard's head has moved on.
CREATE FUNCTION ledger.check_block_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added LEFT JOIN ledger.shard s USING (shard)
             WHERE added.block_seq IS DISTINCT FROM s.head_seq + 1) THEN
    RAISE EXCEPTION 'ledger.% belongs to a block that is not open', TG_TABLE_NAME USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER block_is_open AFTER INSERT ON ledger.account REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_block_is_open();
CREATE TRIGGER block_is_open AFTER INSERT ON ledger.unit REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_block_is_open();
CREATE TRIGGER block_is_open AFTER INSERT ON ledger.posting REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_block_is_open();

-- All entries of a posting come in one statement, so debits equal credits in it, by currency and layer.
CREATE FUNCTION ledger.check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added GROUP BY posting_id, currency, layer HAVING sum(amount) <> 0) THEN
    RAISE EXCEPTION 'a posting does not sum to zero' USING ERRCODE = 'MF001';
  END IF;
  IF EXISTS (SELECT FROM (SELECT DISTINCT posting_id FROM added) a
             LEFT JOIN ledger.posting p ON p.id = a.posting_id
             LEFT JOIN ledger.shard s ON s.shard = p.shard
             WHERE p.block_seq IS DISTINCT FROM s.head_seq + 1 OR s.shard IS NULL) THEN
    RAISE EXCEPTION 'an entry belongs to a posting that is not open' USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER sums_to_zero AFTER INSERT ON ledger.entry REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_entries();

-- A balance is what the account's last entry says, and never goes back.
CREATE FUNCTION ledger.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM changed c
             LEFT JOIN ledger.entry e ON e.account_id = c.account_id AND e.account_version = c.version
             WHERE c.version > 0 AND (e.account_id IS NULL
                OR e.balance_after <> c.debits - c.credits
                OR e.debits_pending_after <> c.debits_pending
                OR e.credits_pending_after <> c.credits_pending)) THEN
    RAISE EXCEPTION 'a balance differs from the last entry of its account' USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER follows_entries AFTER UPDATE ON ledger.balance REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_balance();
CREATE TRIGGER goes_forward BEFORE UPDATE ON ledger.balance FOR EACH ROW
  WHEN (NEW.account_id <> OLD.account_id OR NEW.no_overdraft <> OLD.no_overdraft
     OR NEW.normal_debit <> OLD.normal_debit OR (OLD.closed AND NOT NEW.closed)
     OR (NEW.version <= OLD.version AND NEW.closed = OLD.closed) OR NEW.version < OLD.version)
  EXECUTE FUNCTION ledger.refuse('a balance only goes forward');
CREATE TRIGGER starts_at_zero BEFORE INSERT ON ledger.balance FOR EACH ROW
  WHEN (NEW.version <> 0 OR NEW.debits <> 0 OR NEW.credits <> 0
     OR NEW.debits_pending <> 0 OR NEW.credits_pending <> 0 OR NEW.closed)
  EXECUTE FUNCTION ledger.refuse('an account starts at zero');

CREATE TRIGGER ends_once BEFORE UPDATE ON ledger.hold FOR EACH ROW
  WHEN (OLD.state <> 'open' OR NEW.id <> OLD.id OR NEW.currency <> OLD.currency
     OR NEW.captured < OLD.captured OR NEW.amount < OLD.amount OR NEW.version <= OLD.version)
  EXECUTE FUNCTION ledger.refuse('a hold that has ended stays so');

-- The chain grows by one at its head.
CREATE FUNCTION ledger.check_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger.shard s
                 WHERE s.shard = NEW.shard AND NEW.seq = s.head_seq + 1 AND NEW.prev = s.head_hash) THEN
    RAISE EXCEPTION 'a block does not follow the head of its shard' USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER follows_head AFTER INSERT ON ledger.block FOR EACH ROW EXECUTE FUNCTION ledger.check_link();

CREATE FUNCTION ledger.check_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger.block b
                 WHERE b.shard = NEW.shard AND b.seq = NEW.head_seq AND b.hash = NEW.head_hash)
     OR NEW.head_seq <> OLD.head_seq + 1 OR NEW.shard <> OLD.shard THEN
    RAISE EXCEPTION 'the head of a shard is not its last block' USING ERRCODE = 'MF001';
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER is_last_block AFTER UPDATE ON ledger.shard FOR EACH ROW EXECUTE FUNCTION ledger.check_head();

-- What lets the writer send its COMMIT together with its statements: one that touched other rows than it was meant
-- to fails by itself, and the COMMIT behind it rolls back. The SQLSTATE says that the same again may work.
CREATE FUNCTION ledger.expect(what text, touched bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF touched <> expected THEN
    RAISE EXCEPTION '% touched % rows of %', what, touched, expected USING ERRCODE = 'MF002', CONSTRAINT = what;
  END IF;
END
$$;

RESET ROLE;
