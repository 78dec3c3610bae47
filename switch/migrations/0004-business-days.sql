-- The business dates of each destination, and of the switch itself: a row is a cutover, and the last one is the date
-- that what is routed now belongs to. Rows are added by whoever is told of a cutover first; every node reads them.

CREATE TABLE switch.business_day (
  destination text NOT NULL,
  -- One cutover at a time: who comes second with the same number has lost.
  number integer NOT NULL CHECK (number > 0),
  date date NOT NULL,
  began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  cause text NOT NULL CHECK (cause IN ('start', 'network', 'schedule', 'operator')),
  -- The node, or the person.
  who text NOT NULL,
  -- The masked message that asked for it.
  described text NOT NULL,
  -- From then on its totals can't change: its accounts are closed.
  frozen_at timestamptz,
  -- How many transactions of the date had no end yet when it was frozen.
  stragglers integer CHECK (stragglers >= 0),
  PRIMARY KEY (destination, number),
  UNIQUE (destination, date)
);

CREATE INDEX business_day_open ON switch.business_day (destination) WHERE frozen_at IS NULL;

-- The date on which each change is accounted for: a reversal's is the day of the reversal, not that of its original.
ALTER TABLE switch.event ADD COLUMN business_date date;

CREATE FUNCTION switch.keep_business_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'UPDATE' OR OLD.frozen_at IS NOT NULL
     OR (NEW.destination, NEW.number, NEW.date, NEW.began_at, NEW.cause, NEW.who, NEW.described)
        IS DISTINCT FROM
        (OLD.destination, OLD.number, OLD.date, OLD.began_at, OLD.cause, OLD.who, OLD.described) THEN
    RAISE EXCEPTION '% of switch.business_day is refused: a cutover is not undone', TG_OP;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON switch.business_day
  FOR EACH ROW EXECUTE FUNCTION switch.keep_business_day();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON switch.business_day
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();

GRANT SELECT ON switch.business_day TO ledger_writer, ledger_reader;
GRANT INSERT ON switch.business_day TO ledger_writer;
GRANT UPDATE (frozen_at, stragglers) ON switch.business_day TO ledger_writer;
