-- What was done to the vault as a whole: one row when a rewrap begins and one when it ends, by whom, and how much.
CREATE TABLE vault.rewrap (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  actor       text NOT NULL,
  event       text NOT NULL CHECK (event IN ('begun', 'resumed', 'ended', 'stopped')),
  data_key    integer NOT NULL REFERENCES vault.data_key,
  kek         text NOT NULL,
  fingerprint_key text NOT NULL,
  -- Rows sealed anew by this run until then, and rows that are still under other keys.
  cards_done  bigint NOT NULL,
  cards_left  bigint NOT NULL,
  at          timestamptz NOT NULL DEFAULT now()
);

-- Who looked a number up, and when, is found by the token.
CREATE INDEX access_token ON vault.access (token, at);
