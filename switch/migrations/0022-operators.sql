-- What a destination would not take waits for people, and what they do with it is on record. One asks, another agrees:
-- each of these acts decides over money. The functions are the only way; whoever calls one twice changes nothing twice.

ALTER TABLE switch.obligation DROP CONSTRAINT obligation_state_check;
ALTER TABLE switch.obligation ADD CONSTRAINT obligation_state_check
  CHECK (state IN ('due', 'acknowledged', 'parked', 'notNeeded', 'closed'));
ALTER TABLE switch.transaction DROP CONSTRAINT transaction_reversal_check;
ALTER TABLE switch.transaction ADD CONSTRAINT transaction_reversal_check
  CHECK (reversal IN ('none', 'owed', 'acknowledged', 'parked', 'notNeeded', 'closed'));
ALTER TABLE switch.transaction DROP CONSTRAINT transaction_advice_check;
ALTER TABLE switch.transaction ADD CONSTRAINT transaction_advice_check
  CHECK (advice IN ('none', 'owed', 'acknowledged', 'parked', 'notNeeded', 'closed'));

CREATE INDEX obligation_waiting ON switch.obligation (created_at) WHERE state = 'parked';
CREATE INDEX transaction_unproven ON switch.transaction (received_at)
  WHERE state = 'approved' AND delivery = 'unproven';

CREATE TABLE switch.operation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  obligation_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('asked', 'approved')),
  act text NOT NULL CHECK (act IN ('resend', 'resendAsOriginal', 'close')),
  -- Of an approval: what it approves.
  asked bigint UNIQUE CHECK ((kind = 'approved') = (asked IS NOT NULL)),
  who text NOT NULL CHECK (who ~ '^[A-Za-z][A-Za-z0-9._@-]{1,63}$'),
  -- Free text of a person: never long enough a run of digits to be a card number.
  why text NOT NULL CHECK (length(why) BETWEEN 3 AND 200 AND why !~ '[0-9][0-9 -]{10,}[0-9]'),
  -- The obligation, without what it says.
  before jsonb NOT NULL,
  after jsonb NOT NULL
);
CREATE INDEX operation_obligation ON switch.operation (obligation_id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch.operation
  FOR EACH STATEMENT EXECUTE FUNCTION switch.refuse();
GRANT SELECT ON switch.operation TO ledger_writer, ledger_reader;

CREATE FUNCTION switch.picture(o switch.obligation) RETURNS jsonb LANGUAGE sql STABLE
  SET search_path = pg_catalog AS $$
  SELECT jsonb_build_object('state', o.state, 'fence', o.fence, 'attempts', o.attempts, 'refusals', o.refusals,
    'stan', o.stan, 'responseCode', o.response_code)
$$;

-- asked: by this call, or it stood there already; notParked: there is nothing to decide; unknown: no such obligation.
CREATE FUNCTION switch.ask_operation(wanted uuid, wanted_act text, asker text, reason text)
  RETURNS TABLE (outcome text, operation bigint) LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog AS $$
DECLARE
  owed switch.obligation;
  standing bigint;
BEGIN
  SELECT * INTO owed FROM switch.obligation WHERE id = wanted FOR UPDATE;
  IF NOT FOUND THEN RETURN QUERY SELECT 'unknown', NULL::bigint; RETURN; END IF;
  IF owed.state <> 'parked' THEN RETURN QUERY SELECT 'notParked', NULL::bigint; RETURN; END IF;
  SELECT a.id INTO standing FROM switch.operation a
   WHERE a.obligation_id = wanted AND a.kind = 'asked' AND a.act = wanted_act
     AND (a.before ->> 'fence')::bigint = owed.fence AND (a.before ->> 'state') = 'parked'
     AND NOT EXISTS (SELECT FROM switch.operation d WHERE d.asked = a.id);
  IF NOT FOUND THEN
    INSERT INTO switch.operation (obligation_id, kind, act, who, why, before, after)
      VALUES (wanted, 'asked', wanted_act, asker, reason, switch.picture(owed), switch.picture(owed))
      RETURNING id INTO standing;
  END IF;
  RETURN QUERY SELECT 'asked', standing;
END
$$;

-- done: by this call, or before; samePerson: it needs another one; movedOn: what was asked about is no more.
CREATE FUNCTION switch.approve_operation(wanted bigint, approver text, reason text)
  RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  ask switch.operation;
  owed switch.obligation;
  changed switch.obligation;
  progress text;
  now_version integer;
  now_state text;
BEGIN
  SELECT * INTO ask FROM switch.operation WHERE id = wanted AND kind = 'asked';
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF lower(ask.who) = lower(approver) THEN RETURN 'samePerson'; END IF;
  -- In the order in which the writer of the books takes them.
  PERFORM FROM switch.transaction t
    WHERE t.id = (SELECT transaction_id FROM switch.obligation WHERE id = ask.obligation_id) FOR UPDATE;
  SELECT * INTO owed FROM switch.obligation WHERE id = ask.obligation_id FOR UPDATE;
  IF EXISTS (SELECT FROM switch.operation WHERE asked = wanted) THEN RETURN 'done'; END IF;
  IF owed.state <> 'parked' OR owed.fence <> (ask.before ->> 'fence')::bigint THEN RETURN 'movedOn'; END IF;
  IF ask.act = 'close' THEN
    UPDATE switch.obligation SET state = 'closed', fence = fence + 1, closed_at = clock_timestamp()
     WHERE id = owed.id RETURNING * INTO changed;
  ELSE
    UPDATE switch.obligation
       SET state = 'due', next_at = clock_timestamp(), due_at = clock_timestamp(), alarmed = 0, refusals = 0,
           fence = fence + 1, lease_until = NULL, response_code = NULL, closed_at = NULL,
           attempts = CASE ask.act WHEN 'resend' THEN attempts ELSE 0 END,
           stan = CASE ask.act WHEN 'resend' THEN stan END,
           transmitted_at = CASE ask.act WHEN 'resend' THEN transmitted_at END
     WHERE id = owed.id RETURNING * INTO changed;
  END IF;
  progress := CASE ask.act WHEN 'close' THEN 'closed' ELSE 'owed' END;
  UPDATE switch.transaction t
     SET version = t.version + 1,
         reversal = CASE owed.kind WHEN 'reversal' THEN progress ELSE t.reversal END,
         advice = CASE owed.kind WHEN 'advice' THEN progress ELSE t.advice END
   WHERE t.id = owed.transaction_id RETURNING t.version, t.state INTO now_version, now_state;
  IF FOUND THEN
    INSERT INTO switch.event (transaction_id, sequence, kind, at, node, cause, detail)
      VALUES (owed.transaction_id, now_version, 'operator', clock_timestamp(), 'operator',
        ask.act || ' of the ' || owed.kind || ' asked by ' || ask.who || ', approved by ' || approver,
        jsonb_build_object('state', now_state, 'operation', wanted, 'why', ask.why));
  END IF;
  INSERT INTO switch.operation (obligation_id, kind, act, asked, who, why, before, after)
    VALUES (owed.id, 'approved', ask.act, wanted, approver, reason, switch.picture(owed), switch.picture(changed));
  RETURN 'done';
END
$$;

REVOKE ALL ON FUNCTION switch.ask_operation(uuid, text, text, text), switch.approve_operation(bigint, text, text)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION switch.ask_operation(uuid, text, text, text), switch.approve_operation(bigint, text, text)
  TO ledger_writer;
