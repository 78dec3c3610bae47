-- A source may undo one completion of several, so what each of them took is kept. And each reversal says what it gives back
-- beyond those before it: what is undone in parts counts once in the totals of the dates on which the parts are told.

ALTER TABLE switch.transaction
  ADD COLUMN completions jsonb,
  -- The latest reversal that is owed: the progress of the undoing is its progress.
  ADD COLUMN reversal_id uuid;
ALTER TABLE switch.obligation ADD COLUMN undone_minor bigint CHECK (undone_minor >= 0);
