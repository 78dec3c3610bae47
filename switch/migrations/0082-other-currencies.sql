-- What a destination pays and charges for a leg in other currencies: amounts as text, ISO 4217 codes, rate, day, and what
-- its rounding leaves between its amount and ours.

ALTER TABLE switch.leg ADD COLUMN elsewhere jsonb;
