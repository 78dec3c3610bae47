-- What each transaction is, said once on arrival; what its holder approved of it; what it refers to; and one table for
-- everything a source says about an earlier transaction.

ALTER TABLE switch.transaction
  ADD COLUMN kind text,
  -- The earlier transaction that this one is about: an increment's authorization, a refund's purchase.
  ADD COLUMN parent_id uuid,
  -- What the issuer approved where it is less than was asked; null: all of it.
  ADD COLUMN approved_minor bigint CHECK (approved_minor > 0),
  -- What a completion made of an authorization; null: none came.
  ADD COLUMN completed_minor bigint CHECK (completed_minor >= 0),
  -- What refunds have taken, or may take, of what was paid.
  ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
  -- Taken although a rule speaks against it; for people to look at.
  ADD COLUMN flag text;

UPDATE switch.transaction
   SET kind = CASE left(request ->> 'processingCode', 2)
     WHEN '00' THEN 'purchase' WHEN '01' THEN 'withdrawal' WHEN '20' THEN 'refund' ELSE 'balance' END
 WHERE request IS NOT NULL;

ALTER TABLE switch.transaction
  ADD CONSTRAINT transaction_kind_known CHECK ((kind IS NULL) = (request IS NULL)),
  DROP CONSTRAINT transaction_state_check,
  ADD CONSTRAINT transaction_state_check CHECK (state IN ('tombstone', 'refused', 'intent', 'reversing', 'approved',
    'declined', 'unknown', 'reversed', 'completed', 'expired')),
  DROP CONSTRAINT transaction_check,
  ADD CONSTRAINT transaction_actual_check CHECK (actual_minor > 0);

CREATE INDEX transaction_parent ON switch.transaction (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE switch.source_reversal RENAME TO source_act;
ALTER TABLE switch.source_act ADD COLUMN kind text NOT NULL DEFAULT 'reversal';
