-- What only one may do at a time: be a certain node, or hold the line to a network that allows one session.

CREATE TABLE switch.lease (
  -- `node:NAME` or `line:DESTINATION`.
  name text PRIMARY KEY,
  holder text NOT NULL,
  -- Counts who held it before: what is written under an older number is refused.
  token bigint NOT NULL,
  -- On this database's clock.
  expires_at timestamptz NOT NULL
);
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON switch.lease
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();
GRANT SELECT ON switch.lease TO ledger_writer, ledger_reader;
GRANT INSERT, UPDATE ON switch.lease TO ledger_writer;
