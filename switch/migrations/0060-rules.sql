-- By which rules each transaction was decided, every set of rules that ever was, and who changed them when.

-- A set by what its files say. The same set has the same number, however often it comes back.
CREATE TABLE switch.rule_set (
  number integer PRIMARY KEY CHECK (number > 0),
  hash text NOT NULL UNIQUE CHECK (hash ~ '^[0-9a-f]{64}$'),
  -- Text by file name, as it was when it was read first.
  files jsonb NOT NULL,
  first_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An operator's wish that every node read its rules again.
CREATE TABLE switch.rule_request (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  who text NOT NULL CHECK (who <> ''),
  why text NOT NULL CHECK (why <> '')
);

-- What became of each reading, on each node.
CREATE TABLE switch.rule_change (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  node text NOT NULL,
  cause text NOT NULL CHECK (cause IN ('start', 'signal', 'operator')),
  request bigint REFERENCES switch.rule_request (id),
  who text NOT NULL,
  why text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('adopted', 'unchanged', 'refused')),
  -- In force afterwards, and before.
  number integer REFERENCES switch.rule_set (number),
  before integer REFERENCES switch.rule_set (number),
  -- Each with file, line, path and reason.
  mistakes jsonb NOT NULL DEFAULT '[]'
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['rule_set', 'rule_request', 'rule_change'] LOOP
    EXECUTE format(
      'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch.%I
       FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse()', name);
  END LOOP;
END
$$;

GRANT SELECT ON switch.rule_set, switch.rule_request, switch.rule_change TO ledger_writer, ledger_reader;
GRANT INSERT ON switch.rule_set, switch.rule_request, switch.rule_change TO ledger_writer;

-- Null: from before there were any on record, or a tombstone.
ALTER TABLE switch.transaction ADD COLUMN rules integer;

-- We approved it in the issuer's place: the rule, by range and currency.
ALTER TABLE switch.transaction ADD COLUMN stand_in text;
UPDATE switch.transaction t SET stand_in = e.rule FROM switch.exposure e WHERE e.transaction_id = t.id;
