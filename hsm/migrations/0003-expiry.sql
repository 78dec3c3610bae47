-- What the vault keeps of a card beside its number: when it expires (YYMM), the latest that was seen.
ALTER TABLE vault.card ADD COLUMN expiry text CHECK (expiry ~ '^[0-9]{2}(0[1-9]|1[0-2])$');

-- A number shorter than 16 digits shows its first six and last four together at most (PCI DSS, truncation of PANs).
UPDATE vault.card SET bin = left(bin, 6) WHERE length(mask) < 16 AND length(bin) > 6;
