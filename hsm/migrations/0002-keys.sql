-- The inventory of keys: what each is for, whose, in which state, and the two people who made it. The values are on
-- the token and nowhere else.

CREATE TABLE vault.key (
  ref           text NOT NULL CHECK (ref ~ '^[a-z][a-z0-9]{1,7}\.[a-z0-9-]{1,24}\.(in|out|both)$'),
  version       integer NOT NULL CHECK (version BETWEEN 1 AND 999),
  usage         text NOT NULL,
  mode          text NOT NULL,
  algorithm     text NOT NULL,
  -- X9.143: E exportable under a key block, N not at all, S otherwise.
  exportability text NOT NULL CHECK (exportability IN ('E', 'N', 'S')),
  kcv           text NOT NULL,
  state         text NOT NULL CHECK (state IN ('pending', 'active', 'previous', 'retired', 'destroyed')),
  peer          text,
  made_by       text NOT NULL,
  witnessed_by  text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  active_from   timestamptz,
  -- Until then a previous version still verifies MACs and opens PIN blocks.
  grace_until   timestamptz,
  expires_at    timestamptz,
  PRIMARY KEY (ref, version),
  CHECK (made_by <> witnessed_by)
);

CREATE UNIQUE INDEX key_one_active ON vault.key (ref) WHERE state = 'active';

-- Each act of key life, signed by a key that never leaves the token.
CREATE TABLE vault.key_act (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  record    text NOT NULL,
  signature bytea NOT NULL,
  at        timestamptz NOT NULL DEFAULT now()
);

-- The HSM process reads states; only the tool of the key's keepers, under another account, writes them.
GRANT SELECT ON vault.key TO mafraq_vault;
