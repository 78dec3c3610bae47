-- The journal of the switch: what each request was, what became of it, and what is still owed because of it.
-- Its rows commit with the books, so the books' writer role writes them. No track, PIN block or card number has a
-- column here: cards are tokens and masks.

CREATE TABLE switch.transaction (
  id uuid PRIMARY KEY,
  version integer NOT NULL CHECK (version > 0),
  state text NOT NULL CHECK (state IN
    ('tombstone', 'refused', 'intent', 'reversing', 'approved', 'declined', 'unknown', 'reversed')),
  source text NOT NULL,
  -- The insert is the check for duplicates; there is no read before it.
  source_key text NOT NULL UNIQUE,
  fingerprint text NOT NULL,
  node text NOT NULL,
  business_date date NOT NULL,
  received_at timestamptz NOT NULL,
  -- On this database's clock: after it no approval can be committed, whoever tries.
  approvable_until timestamptz NOT NULL,
  card_token text,
  card_mask text CHECK (card_mask ~ '^[0-9]{6}[*]+[0-9]{4}$'),
  rrn text,
  terminal_id text,
  amount_minor bigint CHECK (amount_minor >= 0),
  currency char(3),
  request jsonb,
  response_code text,
  auth_id text,
  -- DE54 of an answer that carries balances: repeats hear it again.
  additional_amounts text,
  -- What partial reversals have left of the amount; null: all of it.
  actual_minor bigint CHECK (actual_minor > 0 AND actual_minor < amount_minor),
  delivery text NOT NULL CHECK (delivery IN ('none', 'delivered', 'failed', 'unproven')),
  reversal text NOT NULL CHECK (reversal IN ('none', 'owed', 'acknowledged', 'parked', 'notNeeded'))
) WITH (fillfactor = 70);

CREATE INDEX transaction_rrn ON switch.transaction (rrn);
-- What recovery and the sweeper look for; small, because nearly every row leaves it within seconds.
CREATE INDEX transaction_open ON switch.transaction (approvable_until) WHERE state IN ('intent', 'reversing');
CREATE INDEX transaction_undelivered ON switch.transaction (node) WHERE state = 'approved' AND delivery = 'none';

CREATE TABLE switch.leg (
  id uuid PRIMARY KEY,
  transaction_id uuid NOT NULL,
  destination text NOT NULL,
  acquirer_id text NOT NULL,
  stan char(6) NOT NULL,
  transmitted_at char(10) NOT NULL,
  state text NOT NULL CHECK (state IN ('intent', 'notSent', 'maybeSent', 'answered')),
  response_code text,
  auth_id text
) WITH (fillfactor = 70);

CREATE INDEX leg_transaction ON switch.leg (transaction_id);

-- Every change of a transaction, in order; the numbers have no gap and no fork.
CREATE TABLE switch.event (
  transaction_id uuid NOT NULL,
  sequence integer NOT NULL CHECK (sequence > 0),
  kind text NOT NULL,
  at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  node text NOT NULL,
  cause text NOT NULL,
  detail jsonb NOT NULL,
  PRIMARY KEY (transaction_id, sequence)
);

CREATE TABLE switch.source_reversal (
  source_key text PRIMARY KEY,
  source text NOT NULL,
  fingerprint text NOT NULL,
  transaction_id uuid NOT NULL,
  response_code text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX source_reversal_transaction ON switch.source_reversal (transaction_id);

-- What a destination must acknowledge, however long it takes. Nothing is deleted.
CREATE TABLE switch.obligation (
  id uuid PRIMARY KEY,
  key text NOT NULL UNIQUE,
  transaction_id uuid NOT NULL,
  destination text NOT NULL,
  cause text NOT NULL,
  -- DE95: what is to remain; null: nothing.
  actual_minor bigint CHECK (actual_minor > 0),
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'acknowledged', 'parked', 'notNeeded')),
  next_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  last_cause text,
  -- DE11 and DE7 of the first delivery; repeats carry the same.
  stan char(6),
  transmitted_at char(10),
  lease_until timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  response_code text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  closed_at timestamptz
) WITH (fillfactor = 70);

CREATE INDEX obligation_due ON switch.obligation (destination, next_at) WHERE state = 'due';
CREATE INDEX obligation_transaction ON switch.obligation (transaction_id);

-- DE11 is given out in blocks, so that no two nodes and no two lives of a node share a number.
CREATE TABLE switch.stan_block (
  destination text PRIMARY KEY,
  next integer NOT NULL CHECK (next BETWEEN 1 AND 999999)
);

CREATE FUNCTION switch.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of switch.% is refused: the journal is append-only', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch.event
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch.source_reversal
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['transaction', 'leg', 'obligation', 'stan_block'] LOOP
    EXECUTE format(
      'CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON switch.%I
       FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse()', name);
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA switch TO ledger_writer, ledger_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA switch TO ledger_writer, ledger_reader;
GRANT INSERT ON switch.transaction, switch.leg, switch.event, switch.source_reversal, switch.obligation,
  switch.stan_block TO ledger_writer;
GRANT UPDATE ON switch.transaction, switch.leg, switch.obligation, switch.stan_block TO ledger_writer;
