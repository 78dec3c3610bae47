-- What a destination pays for what an advice told it, as its acknowledgement says: amount as text, currency, rate, day, and what
-- its rounding leaves.

ALTER TABLE switch.obligation ADD COLUMN settlement jsonb;
