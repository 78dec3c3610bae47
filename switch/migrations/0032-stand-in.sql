-- Approvals in an issuer's place, and what they may cost us until they are undone.

CREATE TABLE switch.exposure (
  transaction_id uuid PRIMARY KEY,
  -- Range and currency.
  rule text NOT NULL,
  card_token text NOT NULL,
  currency char(3) NOT NULL,
  -- What reversals have left of it; zero: nothing.
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX exposure_card ON switch.exposure (card_token, at);
CREATE INDEX exposure_rule ON switch.exposure (rule, at);
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON switch.exposure
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();
GRANT SELECT ON switch.exposure TO ledger_writer, ledger_reader;
GRANT INSERT, UPDATE ON switch.exposure TO ledger_writer;

ALTER TABLE switch.obligation
  -- Of a reversal: the advice that it undoes, where what happened was told by one.
  ADD COLUMN advice_id uuid;
