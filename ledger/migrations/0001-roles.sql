-- Three group roles without login of their own. A process signs in as the user its URL names and takes one of them
-- by SET ROLE: the writer of the books takes ledger_writer, reports take ledger_reader, these migrations
-- ledger_owner. The user that migrates is made a member of all three, so one URL is enough on one machine;
-- in production give each process a user of its own: GRANT ledger_writer TO that_user.
--
-- Another room whose rows commit with the books grants its tables to the writer in its own migrations:
--   GRANT USAGE ON SCHEMA room TO ledger_writer;  GRANT SELECT, INSERT, UPDATE ON room.table TO ledger_writer;
-- so the books are migrated before any such room.

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['ledger_owner', 'ledger_writer', 'ledger_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- Roles belong to the whole server, and another database of it was quicker.
      END;
    END IF;
    -- A superuser may take any role as it is.
    IF NOT pg_has_role(current_user, name, 'USAGE') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    END IF;
  END LOOP;
END
$$;

ALTER SCHEMA ledger OWNER TO ledger_owner;
GRANT USAGE ON SCHEMA ledger TO ledger_writer, ledger_reader;
