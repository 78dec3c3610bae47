SET LOCAL ROLE ledger_owner;

CREATE TABLE ledger.currency (
  code text COLLATE "C" PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
  exponent smallint NOT NULL CHECK (exponent BETWEEN 0 AND 4)
);

-- ISO 4217; the same table as in kernel/money.ts, which `ledger verify` compares it with.
INSERT INTO ledger.currency VALUES
  ('KWD', 3), ('BHD', 3), ('OMR', 3), ('SAR', 2), ('AED', 2), ('QAR', 2), ('USD', 2), ('EUR', 2), ('GBP', 2), ('JPY', 0);

-- The head of each shard's chain. Its row lock is what makes writers take turns: whoever holds it is the only one
-- that writes to the books of the shard until its commit.
CREATE TABLE ledger.shard (
  shard smallint PRIMARY KEY,
  head_seq bigint NOT NULL DEFAULT 0,
  head_hash bytea NOT NULL CHECK (length(head_hash) = 32),
  last_posting bigint NOT NULL,
  last_account bigint NOT NULL,
  recorded_at timestamptz(3) NOT NULL
) WITH (fillfactor = 50);

-- Ids of shard s begin at s << 48, so that ids stay unique when a shard moves to a database of its own.
INSERT INTO ledger.shard VALUES (0, 0, decode(repeat('00', 32), 'hex'), 0, 0, 'epoch');

-- One a commit: the link of the chain. Its hash covers the block before it, and all accounts, units, postings and
-- entries of this one (ledger/chain.ts).
CREATE TABLE ledger.block (
  shard smallint NOT NULL,
  seq bigint NOT NULL,
  prev bytea NOT NULL,
  hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  accounts integer NOT NULL,
  units integer NOT NULL,
  postings integer NOT NULL,
  recorded_at timestamptz(3) NOT NULL,
  PRIMARY KEY (shard, seq)
);

CREATE TABLE ledger.account (
  id bigint PRIMARY KEY,
  path text COLLATE "C" NOT NULL UNIQUE,
  currency text COLLATE "C" NOT NULL REFERENCES ledger.currency,
  normal_side text COLLATE "C" NOT NULL CHECK (normal_side IN ('debit', 'credit')),
  limit_kind text COLLATE "C" NOT NULL CHECK (limit_kind IN ('none', 'noOverdraft')),
  shard smallint NOT NULL,
  block_seq bigint NOT NULL
);
CREATE INDEX account_of_block ON ledger.account (shard, block_seq);

-- One durable act, and the record that a repeat of it is answered from. `refusal` is null when it was committed.
CREATE TABLE ledger.unit (
  key text COLLATE "C" PRIMARY KEY,
  body_hash bytea NOT NULL CHECK (length(body_hash) = 32),
  refusal text COLLATE "C",
  shard smallint NOT NULL,
  block_seq bigint NOT NULL,
  ordinal integer NOT NULL,
  first_posting bigint NOT NULL,
  postings integer NOT NULL,
  CHECK (refusal IS NULL OR postings = 0),
  UNIQUE (shard, block_seq, ordinal)
);

CREATE TABLE ledger.posting (
  id bigint PRIMARY KEY,
  reference text COLLATE "C" NOT NULL UNIQUE,
  kind text COLLATE "C" NOT NULL
    CHECK (kind IN ('post', 'authorize', 'increment', 'capture', 'void', 'expire', 'reverse', 'close')),
  hold_id bigint,
  reverses bigint,
  effective_at timestamptz(3) NOT NULL,
  expires_at timestamptz(3),
  meta jsonb,
  shard smallint NOT NULL,
  block_seq bigint NOT NULL,
  recorded_at timestamptz(3) NOT NULL,
  CHECK ((kind IN ('increment', 'capture', 'void', 'expire')) = (hold_id IS NOT NULL)),
  CHECK ((kind = 'reverse') = (reverses IS NOT NULL))
);
CREATE UNIQUE INDEX posting_reversed_once ON ledger.posting (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX posting_of_hold ON ledger.posting (hold_id) WHERE hold_id IS NOT NULL;

-- Layer 0 is money posted, layer 1 money set aside. A debit is above zero, a credit below it. What an entry of
-- layer 1 does to the counters depends on its posting: authorize and increment add to what is pending, capture,
-- void and expire take back, with the opposite sign.
CREATE TABLE ledger.entry (
  posting_id bigint NOT NULL,
  seq smallint NOT NULL,
  layer smallint NOT NULL CHECK (layer IN (0, 1)),
  account_id bigint NOT NULL,
  currency text COLLATE "C" NOT NULL,
  amount bigint NOT NULL CHECK (amount <> 0),
  account_version bigint NOT NULL CHECK (account_version > 0),
  -- Debits minus credits that are posted, and what is pending on either side, once this entry is in.
  balance_after bigint NOT NULL,
  debits_pending_after bigint NOT NULL CHECK (debits_pending_after >= 0),
  credits_pending_after bigint NOT NULL CHECK (credits_pending_after >= 0),
  PRIMARY KEY (posting_id, seq),
  -- An account's history has no gap and no fork.
  UNIQUE (account_id, account_version)
);

-- The rest are projections of the above: they can be computed anew from it, and `ledger verify` does.

CREATE TABLE ledger.balance (
  account_id bigint PRIMARY KEY REFERENCES ledger.account,
  debits bigint NOT NULL DEFAULT 0 CHECK (debits >= 0),
  credits bigint NOT NULL DEFAULT 0 CHECK (credits >= 0),
  debits_pending bigint NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
  credits_pending bigint NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
  version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
  closed boolean NOT NULL DEFAULT false,
  -- Copied from the account, which never changes, so that the limit is a constraint of this row.
  no_overdraft boolean NOT NULL,
  normal_debit boolean NOT NULL,
  CONSTRAINT no_overdraft CHECK (
    NOT no_overdraft OR CASE WHEN normal_debit
      THEN credits + credits_pending <= debits
      ELSE debits + debits_pending <= credits
    END
  )
) WITH (fillfactor = 50);

-- `amounts` and `open` are the legs, signed as entries are, in the order of `account_ids`.
CREATE TABLE ledger.hold (
  id bigint PRIMARY KEY,
  state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'captured', 'voided', 'expired')),
  currency text COLLATE "C" NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  captured bigint NOT NULL DEFAULT 0,
  account_ids bigint[] NOT NULL,
  amounts bigint[] NOT NULL,
  open bigint[] NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  version bigint NOT NULL,
  CONSTRAINT no_over_capture CHECK (captured BETWEEN 0 AND amount)
) WITH (fillfactor = 50);
CREATE INDEX hold_to_expire ON ledger.hold (expires_at) WHERE state = 'open';

RESET ROLE;
