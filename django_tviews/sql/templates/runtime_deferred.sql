-- Deferred TViews: what their sources have changed stays in the spool until COMMIT. That is the
-- time of deferred constraint triggers, so there is one on the spool, for the rows that are
-- tickets. Savepoints take ticket and spool back together, and PREPARE TRANSACTION fires the
-- trigger as COMMIT does, so neither has to outlive a crash.

-- At COMMIT, or when SET CONSTRAINTS brings it forward: maintain what is in the spool.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_apply() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    ignored text;
BEGIN
    IF coalesce(nullif(current_setting(@{open_setting}, true), ''), '0')::integer > 0 THEN
        -- In the middle of a statement, which may have spooled only half of what it changes.
        ignored := set_config(@{due_setting}, 'on', true);
        RETURN NULL;
    END IF;
    -- Counts as an open statement, so that TViews over these are spooled and follow.
    ignored := set_config(@{open_setting}, '1', true);
    ignored := @{runtime}.django_tviews_drain(true);
    ignored := set_config(@{open_setting}, '0', true);
    RETURN NULL;
END
$function$;
--;;
CREATE CONSTRAINT TRIGGER django_tviews_apply AFTER INSERT ON @{runtime}.django_tviews_spool
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.ticket)
    EXECUTE FUNCTION @{runtime}.django_tviews_apply();
--;;
REVOKE ALL ON FUNCTION @{runtime}.django_tviews_apply() FROM PUBLIC;
