-- Card numbers, enciphered, and who asked for them. Nothing outside this schema may be reached from here.

CREATE TABLE vault.data_key (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Wrapped by a key of the HSM (RFC 5649); in clear it exists inside the HSM only.
  wrapped    bytea NOT NULL,
  kek        text NOT NULL,
  state      text NOT NULL CHECK (state IN ('active', 'previous', 'retired')),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX data_key_one_active ON vault.data_key ((true)) WHERE state = 'active';

CREATE TABLE vault.card (
  -- Random, and never a number: nothing about the card follows from it.
  token           text PRIMARY KEY CHECK (token ~ '^tok_[a-z2-7]{26}$'),
  -- HMAC-SHA-256 of the card number under a key of the HSM: one number, one row, whoever comes first.
  fingerprint     bytea NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
  fingerprint_key text NOT NULL,
  -- Initialisation vector, ciphertext and tag of AES-256-GCM; the token is authenticated with it.
  sealed          bytea NOT NULL,
  data_key        integer NOT NULL REFERENCES vault.data_key,
  mask            text NOT NULL CHECK (mask ~ '^[0-9]{6}\*{2,9}[0-9]{4}$'),
  bin             text NOT NULL CHECK (bin ~ '^[0-9]{6,8}$'),
  created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX card_data_key ON vault.card (data_key);

CREATE TABLE vault.access (
  id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token text NOT NULL,
  actor text NOT NULL,
  found boolean NOT NULL,
  at    timestamptz NOT NULL DEFAULT now()
);

-- Roles belong to the whole server, and another database's migration may be making this one at the same moment.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mafraq_vault') THEN
    CREATE ROLE mafraq_vault NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END
$$;

GRANT USAGE ON SCHEMA vault TO mafraq_vault;
GRANT SELECT, INSERT, UPDATE ON vault.data_key, vault.card TO mafraq_vault;
-- What was asked for stays written: the log can be added to, and no more.
GRANT SELECT, INSERT ON vault.access TO mafraq_vault;
