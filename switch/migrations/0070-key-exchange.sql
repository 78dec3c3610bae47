-- What became of each key exchange with a destination: which key by its name and check value, by whose word, why. Values
-- are never here. Rows are only added, and the last ones say what is still to be done.

CREATE TABLE switch.key_exchange (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  destination text NOT NULL,
  -- `wanted`: a person wants one; `asked`: we asked the network; `unanswered`: it did not agree to.
  event       text NOT NULL CHECK (event IN ('wanted', 'asked', 'unanswered', 'taken', 'refused', 'activated')),
  key         text CHECK (key ~ '^[a-z0-9.-]{5,60}$'),
  kcv         text CHECK (kcv ~ '^[0-9A-F]{6}$'),
  why         text NOT NULL,
  -- The node, or the person.
  who         text NOT NULL
);

CREATE INDEX key_exchange_destination ON switch.key_exchange (destination, event, id);

CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON switch.key_exchange FOR EACH ROW EXECUTE FUNCTION switch.refuse();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON switch.key_exchange
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();

GRANT SELECT ON switch.key_exchange TO ledger_writer, ledger_reader;
GRANT INSERT ON switch.key_exchange TO ledger_writer;
