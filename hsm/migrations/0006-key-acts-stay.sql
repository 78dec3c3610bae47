-- What was done to keys stays on record: the signatures and the chain in the records say when this was got round.
CREATE FUNCTION vault.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of vault.% is refused: what is written stays', TG_OP, TG_TABLE_NAME;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON vault.key_act
  FOR EACH STATEMENT EXECUTE FUNCTION vault.refuse_change();
