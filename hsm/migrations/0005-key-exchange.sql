-- Zone keys that come from a peer in a message: the HSM process takes them in by itself, without people. What it may
-- write is these two steps and no more: a new version that nobody uses yet, and its way into use.

ALTER TABLE vault.key DROP CONSTRAINT key_state_check;
ALTER TABLE vault.key ADD CONSTRAINT key_state_check
  -- `arriving`: seals are checked with it and none is made, until the peer has our word that we have it.
  CHECK (state IN ('pending', 'arriving', 'active', 'previous', 'retired', 'destroyed'));
ALTER TABLE vault.key ADD COLUMN exchanged boolean NOT NULL DEFAULT false;

-- `adopted`: versions that are on the token without a row, as test keys are; the newest of them is the active one.
CREATE FUNCTION vault.receive_key(
  of_ref text, new_version integer, new_usage text, new_mode text, new_algorithm text, new_kcv text,
  from_peer text, under text, adopted jsonb
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = vault, pg_temp AS $$
BEGIN
  IF of_ref !~ '^(zpk|zak)\.' THEN
    RAISE EXCEPTION 'only keys of zones come from peers';
  END IF;
  IF NOT EXISTS (SELECT FROM vault.key WHERE ref = of_ref) THEN
    INSERT INTO vault.key (ref, version, usage, mode, algorithm, exportability, kcv, state, made_by, witnessed_by, active_from)
    SELECT of_ref, a.version, a.usage, a.mode, a.algorithm, 'N', a.kcv,
           CASE WHEN a.version = max(a.version) OVER () THEN 'active' ELSE 'retired' END,
           'found on the token', 'peer ' || from_peer, now()
      FROM jsonb_to_recordset(adopted) AS a (version integer, usage text, mode text, algorithm text, kcv text);
  END IF;
  INSERT INTO vault.key (ref, version, usage, mode, algorithm, exportability, kcv, state, peer, made_by, witnessed_by, exchanged)
  VALUES (of_ref, new_version, new_usage, new_mode, new_algorithm, 'N', new_kcv, 'pending', from_peer,
          'peer ' || from_peer, under, true);
END
$$;

-- The state that the version is in afterwards; NULL when it is none that came from a peer. Doing it again changes nothing.
CREATE FUNCTION vault.advance_key(of_ref text, to_version integer, to_state text, grace_seconds integer)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = vault, pg_temp AS $$
DECLARE now_state text;
BEGIN
  PERFORM FROM vault.key WHERE ref = of_ref ORDER BY version FOR UPDATE;
  SELECT state INTO now_state FROM vault.key WHERE ref = of_ref AND version = to_version AND exchanged;
  IF to_state = 'arriving' AND now_state = 'pending' THEN
    UPDATE vault.key SET state = 'arriving' WHERE ref = of_ref AND version = to_version;
    RETURN 'arriving';
  END IF;
  IF to_state = 'active' AND now_state IN ('pending', 'arriving') THEN
    -- What came before and never got so far is of no use any more; what the peer may still seal with is honoured.
    UPDATE vault.key SET state = 'retired' WHERE ref = of_ref AND state = 'pending' AND exchanged AND version <> to_version;
    UPDATE vault.key SET state = 'previous', grace_until = now() + make_interval(secs => grace_seconds)
     WHERE ref = of_ref AND version <> to_version AND state IN ('active', 'arriving');
    UPDATE vault.key SET state = 'active', active_from = now() WHERE ref = of_ref AND version = to_version;
    RETURN 'active';
  END IF;
  RETURN now_state;
END
$$;

REVOKE ALL ON FUNCTION vault.receive_key, vault.advance_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vault.receive_key, vault.advance_key TO mafraq_vault;
