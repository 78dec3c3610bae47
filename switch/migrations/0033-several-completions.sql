-- How many completions have taken of what an authorization set aside: a merchant that ships in parts sends several.

ALTER TABLE switch.transaction ADD COLUMN captures smallint CHECK (captures > 0);
