-- How much of what a completion took had been set aside: its undoing must know.

ALTER TABLE switch.transaction ADD COLUMN captured_minor bigint CHECK (captured_minor >= 0);
