-- What the answer of a leg said of itself and later messages of the transaction repeat: a transaction identifier, the
-- network's reference, by the paths of the destination's profile. Card data has no place here either.
ALTER TABLE switch.leg ADD COLUMN trace jsonb;
