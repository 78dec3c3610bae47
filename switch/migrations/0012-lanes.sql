-- What is owed travels in lanes by card, at a pace, and people hear of what waits for too long.

ALTER TABLE switch.obligation
  -- Made of the card's token: the entries of one card are told in order.
  ADD COLUMN card integer NOT NULL DEFAULT 0,
  -- The card's lane: one message is under way in each.
  ADD COLUMN lane smallint NOT NULL DEFAULT 0,
  -- How often it was answered that it should be tried again.
  ADD COLUMN refusals integer NOT NULL DEFAULT 0,
  -- Since when it is owed as it stands, and the age at which people last heard of it: 1 min, 10 min, 24 h.
  ADD COLUMN due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ADD COLUMN alarmed smallint NOT NULL DEFAULT 0;
UPDATE switch.obligation SET due_at = created_at;
ALTER TABLE switch.obligation ALTER COLUMN card DROP DEFAULT, ALTER COLUMN lane DROP DEFAULT;

-- A reconciliation is nobody's transaction.
ALTER TABLE switch.obligation ALTER COLUMN transaction_id DROP NOT NULL,
  ADD CHECK (transaction_id IS NOT NULL OR kind = 'reconciliation');

DROP INDEX switch.obligation_due;
CREATE INDEX obligation_lane ON switch.obligation (destination, lane, next_at) WHERE state = 'due';
CREATE INDEX obligation_order ON switch.obligation (destination, position) WHERE state = 'due';
CREATE INDEX obligation_card ON switch.obligation (card, position) WHERE state = 'due';
CREATE INDEX obligation_under_way ON switch.obligation (destination, lane) WHERE state = 'due' AND lease_until IS NOT NULL;
CREATE INDEX obligation_barrier ON switch.obligation (destination, position)
  WHERE state = 'due' AND kind = 'reconciliation';
CREATE INDEX obligation_parked ON switch.obligation (transaction_id, position) WHERE state = 'parked';
CREATE INDEX obligation_age ON switch.obligation (alarmed, due_at) WHERE state = 'due';

-- Who claims counts on from the number it has seen: of two that look at the same time, one finds nothing.
CREATE TABLE switch.turn (
  destination text PRIMARY KEY,
  number bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON switch.turn
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();
GRANT SELECT ON switch.turn TO ledger_writer, ledger_reader;
GRANT INSERT, UPDATE ON switch.turn TO ledger_writer;
