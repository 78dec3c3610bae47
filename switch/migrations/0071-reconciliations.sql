-- What a business date came to with a network that wants to be told, and what it said to that. A row for each currency,
-- made when the date is frozen; told by the obligation of its name.

CREATE TABLE switch.reconciliation (
  obligation_id uuid PRIMARY KEY,
  destination text NOT NULL,
  date date NOT NULL,
  currency char(3) NOT NULL,
  totals jsonb NOT NULL,
  made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The network's word: in balance, out of balance, or that it could not say.
  balance text CHECK (balance IN ('in', 'out', 'error')),
  -- The masked answer.
  described text,
  answered_at timestamptz,
  UNIQUE (destination, date, currency)
);

CREATE FUNCTION switch.keep_reconciliation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'UPDATE' OR OLD.balance IS NOT NULL
     OR (NEW.obligation_id, NEW.destination, NEW.date, NEW.currency, NEW.totals, NEW.made_at)
        IS DISTINCT FROM (OLD.obligation_id, OLD.destination, OLD.date, OLD.currency, OLD.totals, OLD.made_at) THEN
    RAISE EXCEPTION '% of switch.reconciliation is refused: what was told and answered stands', TG_OP;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON switch.reconciliation
  FOR EACH ROW EXECUTE FUNCTION switch.keep_reconciliation();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON switch.reconciliation
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();
GRANT SELECT ON switch.reconciliation TO ledger_writer, ledger_reader;
GRANT INSERT ON switch.reconciliation TO ledger_writer;
GRANT UPDATE (balance, described, answered_at) ON switch.reconciliation TO ledger_writer;

-- What was told and acknowledged on a date is counted.
CREATE INDEX obligation_closed ON switch.obligation (destination, closed_at) WHERE state = 'acknowledged';
CREATE INDEX transaction_business_date ON switch.transaction (business_date);
