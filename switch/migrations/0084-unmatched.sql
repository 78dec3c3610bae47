-- What our books and a network's statement of a date don't agree on, until somebody or a later match explains it; and each
-- total of a date that a network did not agree to (DE66), which is a case of its own. Rows are never deleted.

CREATE TABLE switch.match_run (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  destination text NOT NULL,
  date date NOT NULL,
  -- Of the statement.
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  who text NOT NULL CHECK (length(who) BETWEEN 1 AND 100),
  -- How many items of each state and currency, and what the four books came to.
  summary jsonb NOT NULL
);
CREATE INDEX match_run_date ON switch.match_run (destination, date);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch.match_run
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();

CREATE TABLE switch.unmatched (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  destination text NOT NULL,
  -- The business date that it was found missing on.
  date date NOT NULL,
  -- What names it within the date; `number` tells several of one name apart.
  subject text NOT NULL,
  number integer NOT NULL,
  state text NOT NULL CHECK (state IN
    ('oursOnly', 'theirsOnly', 'amountDiffers', 'dateDiffers', 'duplicated', 'outOfBalance', 'notCompared')),
  -- Null of totals.
  type text CHECK (type IN ('debit', 'credit', 'transfer', 'inquiry', 'authorization')),
  is_reversal boolean,
  -- Too short for a card number, whatever a file had in its place.
  rrn text CHECK (rrn ~ '^[A-Za-z0-9]{1,12}$'),
  terminal text CHECK (length(terminal) <= 8),
  ours_currency char(3),
  ours_minor bigint,
  ours_date date,
  theirs_currency char(3),
  theirs_minor bigint,
  theirs_date date,
  -- `gone`: a later match has found its other half, or does not find the difference any more.
  status text NOT NULL CHECK (status IN ('open', 'explained', 'closed', 'gone')),
  first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_run bigint,
  alarmed_at timestamptz,
  changed_by text NOT NULL CHECK (length(changed_by) BETWEEN 1 AND 100),
  -- Free text of a person: never long enough a run of digits to be a card number.
  changed_why text NOT NULL CHECK (length(changed_why) BETWEEN 3 AND 200 AND changed_why !~ '[0-9][0-9 -]{10,}[0-9]'),
  CHECK ((type IS NULL) = (state IN ('outOfBalance', 'notCompared'))),
  UNIQUE (destination, date, subject, number)
);
-- Read each time somebody asks for the figures, and small.
CREATE INDEX unmatched_open ON switch.unmatched (destination, first_seen) WHERE status = 'open';
CREATE INDEX unmatched_rrn ON switch.unmatched (rrn);
CREATE TRIGGER keep_all BEFORE DELETE OR TRUNCATE ON switch.unmatched
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();

-- What became of each, and by whose word.
CREATE TABLE switch.unmatched_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  item_id bigint NOT NULL,
  status text NOT NULL,
  state text NOT NULL,
  who text NOT NULL,
  why text NOT NULL
);
CREATE INDEX unmatched_event_item ON switch.unmatched_event (item_id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch.unmatched_event
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();

CREATE FUNCTION switch.tell_unmatched() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog AS $$
BEGIN
  IF TG_OP = 'INSERT' OR (NEW.status, NEW.state, NEW.changed_by, NEW.changed_why)
      IS DISTINCT FROM (OLD.status, OLD.state, OLD.changed_by, OLD.changed_why) THEN
    INSERT INTO switch.unmatched_event (item_id, status, state, who, why)
      VALUES (NEW.id, NEW.status, NEW.state, NEW.changed_by, NEW.changed_why);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON switch.unmatched
  FOR EACH ROW EXECUTE FUNCTION switch.tell_unmatched();

-- C2: nothing is frozen for it, and it is a case.
CREATE FUNCTION switch.case_of_totals() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO switch.unmatched (destination, date, subject, number, state, ours_currency, ours_date, status, changed_by, changed_why)
    VALUES (NEW.destination, NEW.date, 'totals ' || NEW.currency, 0,
      CASE NEW.balance WHEN 'out' THEN 'outOfBalance' ELSE 'notCompared' END, NEW.currency, NEW.date, 'open', 'switch',
      CASE NEW.balance WHEN 'out' THEN 'the network has other totals' ELSE 'the network could not compare' END)
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;
CREATE TRIGGER case_of_totals AFTER UPDATE ON switch.reconciliation
  FOR EACH ROW WHEN (NEW.balance IN ('out', 'error')) EXECUTE FUNCTION switch.case_of_totals();

-- One match, all of it in one commit: what differs now, and what does not any more. `agrees`: the date's totals are one.
CREATE FUNCTION switch.keep_match(of_destination text, of_date date, of_file text, by_whom text, what jsonb, agrees boolean,
    items jsonb) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  run bigint;
  told text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('switch.keep_match'), hashtext(of_destination));
  INSERT INTO switch.match_run (destination, date, sha256, who, summary)
    VALUES (of_destination, of_date, of_file, by_whom, what) RETURNING id INTO run;
  told := 'match ' || run;

  -- The other half of what an earlier match left open: a matter of time.
  UPDATE switch.unmatched u
     SET state = i.state, ours_currency = i.ours_currency, ours_minor = i.ours_minor, ours_date = i.ours_date,
         theirs_currency = i.theirs_currency, theirs_minor = i.theirs_minor, theirs_date = i.theirs_date,
         status = CASE WHEN u.status = 'closed' THEN 'closed' ELSE 'gone' END, last_seen = clock_timestamp(), last_run = run,
         changed_by = by_whom, changed_why = told || ': counted on another date'
    FROM jsonb_to_recordset(items) AS i (queued bigint, state text, ours_currency text, ours_minor bigint, ours_date date,
      theirs_currency text, theirs_minor bigint, theirs_date date)
   WHERE u.id = i.queued AND u.destination = of_destination;

  INSERT INTO switch.unmatched AS u (destination, date, subject, number, state, type, is_reversal, rrn, terminal,
      ours_currency, ours_minor, ours_date, theirs_currency, theirs_minor, theirs_date, status, last_run, changed_by, changed_why)
    SELECT of_destination, of_date, i.subject, i.number, i.state, i.type, i.is_reversal, i.rrn, i.terminal,
        i.ours_currency, i.ours_minor, i.ours_date, i.theirs_currency, i.theirs_minor, i.theirs_date,
        -- Both have it: what one counts on this date the other counts on another.
        CASE i.state WHEN 'dateDiffers' THEN 'gone' ELSE 'open' END, run, by_whom,
        CASE i.state WHEN 'dateDiffers' THEN told || ': counted on another date' ELSE told END
      FROM jsonb_to_recordset(items) AS i (queued bigint, subject text, number integer, state text, type text,
        is_reversal boolean, rrn text, terminal text, ours_currency text, ours_minor bigint, ours_date date,
        theirs_currency text, theirs_minor bigint, theirs_date date)
     WHERE i.queued IS NULL
  ON CONFLICT (destination, date, subject, number) DO UPDATE SET
    state = excluded.state, ours_currency = excluded.ours_currency, ours_minor = excluded.ours_minor,
    ours_date = excluded.ours_date, theirs_currency = excluded.theirs_currency, theirs_minor = excluded.theirs_minor,
    theirs_date = excluded.theirs_date, last_seen = clock_timestamp(), last_run = run,
    first_seen = CASE u.status WHEN 'gone' THEN clock_timestamp() ELSE u.first_seen END,
    alarmed_at = CASE u.status WHEN 'gone' THEN NULL ELSE u.alarmed_at END,
    -- What somebody explained stays explained while it is the same.
    (status, changed_by, changed_why) = (
      SELECT CASE WHEN is_same THEN u.status ELSE excluded.status END,
             CASE WHEN is_same THEN u.changed_by ELSE excluded.changed_by END,
             CASE WHEN is_same THEN u.changed_why ELSE excluded.changed_why END
        FROM (SELECT excluded.status = 'open' AND u.status <> 'gone' AND
          (u.state, u.ours_currency, u.ours_minor, u.ours_date, u.theirs_currency, u.theirs_minor, u.theirs_date)
            IS NOT DISTINCT FROM
          (excluded.state, excluded.ours_currency, excluded.ours_minor, excluded.ours_date, excluded.theirs_currency,
            excluded.theirs_minor, excluded.theirs_date)) same (is_same));

  UPDATE switch.unmatched SET status = 'gone', changed_by = by_whom, changed_why = told || ': it matches'
   WHERE destination = of_destination AND date = of_date AND type IS NOT NULL AND status IN ('open', 'explained')
     AND last_run IS DISTINCT FROM run;

  UPDATE switch.unmatched SET status = 'gone', changed_by = by_whom, changed_why = told || ': all of it matches'
   WHERE agrees AND destination = of_destination AND date = of_date AND type IS NULL AND status IN ('open', 'explained');
  RETURN run;
END
$$;

-- done; unknown: there is none of this number; over: it is closed or gone.
CREATE FUNCTION switch.explain_unmatched(wanted bigint, by_whom text, reason text) RETURNS text LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  now_status text;
BEGIN
  SELECT status INTO now_status FROM switch.unmatched WHERE id = wanted FOR UPDATE;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF now_status IN ('closed', 'gone') THEN RETURN 'over'; END IF;
  UPDATE switch.unmatched SET status = 'explained', changed_by = by_whom, changed_why = reason WHERE id = wanted;
  RETURN 'done';
END
$$;

-- Beside those: unexplained, nobody has said why it differs; samePerson: it needs another one than who explained it.
CREATE FUNCTION switch.close_unmatched(wanted bigint, by_whom text, reason text) RETURNS text LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  item switch.unmatched;
BEGIN
  SELECT * INTO item FROM switch.unmatched WHERE id = wanted FOR UPDATE;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF item.status IN ('closed', 'gone') THEN RETURN 'over'; END IF;
  IF item.status = 'open' THEN RETURN 'unexplained'; END IF;
  IF lower(item.changed_by) = lower(by_whom) THEN RETURN 'samePerson'; END IF;
  UPDATE switch.unmatched SET status = 'closed', changed_by = by_whom, changed_why = reason WHERE id = wanted;
  RETURN 'done';
END
$$;

GRANT SELECT ON switch.match_run, switch.unmatched, switch.unmatched_event TO ledger_writer, ledger_reader;
GRANT UPDATE (alarmed_at) ON switch.unmatched TO ledger_writer;
REVOKE ALL ON FUNCTION switch.keep_match(text, date, text, text, jsonb, boolean, jsonb),
  switch.explain_unmatched(bigint, text, text), switch.close_unmatched(bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION switch.keep_match(text, date, text, text, jsonb, boolean, jsonb),
  switch.explain_unmatched(bigint, text, text), switch.close_unmatched(bigint, text, text) TO ledger_writer;
