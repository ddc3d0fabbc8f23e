-- Deferred TViews: what their sources have changed stays in the spool until COMMIT. That is the
-- time of deferred constraint triggers, so there is one on the spool, for the rows that are
-- tickets. Savepoints take ticket and spool back together, and PREPARE TRANSACTION fires the
-- trigger as COMMIT does, so neither has to outlive a crash.
--
-- Of each TView's rows the first is one. A setting lists the TViews that have a ticket, each by its
-- OID between blanks; it is 'none' when all has been maintained, and empty if it was lost.

-- At COMMIT, or when SET CONSTRAINTS brings it forward: maintain what is in the spool.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_apply() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    tickets CONSTANT text := current_setting(@{ticket_setting}, true);
    next_drain text;
    ignored text;
BEGIN
    IF tickets = 'none' THEN
        RETURN NULL;
    END IF;
    IF coalesce(nullif(current_setting(@{open_setting}, true), ''), '0')::integer > 0 THEN
        -- In the middle of a statement, which may have spooled only half of what it changes.
        ignored := set_config(@{due_setting}, 'on', true);
        RETURN NULL;
    END IF;
    -- Counts as an open statement, so that TViews over these are spooled and follow.
    ignored := set_config(@{open_setting}, '1', true);
    -- Most often there is one, and no need to ask the spool for more. Had others a ticket that the
    -- setting has lost, this would not be all; so what it says afterwards is not 'none'.
    IF tickets IN (' ' || NEW.tview::oid || ' ', 'none ' || NEW.tview::oid || ' ') THEN
        SELECT registry.drain INTO next_drain
        FROM @{runtime}.django_tviews_registry AS registry WHERE registry.tview = NEW.tview;
    END IF;
    IF next_drain IS NOT NULL THEN
        ignored := set_config(@{ticket_setting}, '', true);
        EXECUTE 'SELECT ' || next_drain || '()';
    END IF;
    IF next_drain IS NULL OR current_setting(@{spooled_setting}, true) = 'on'
            OR '' IS DISTINCT FROM current_setting(@{ticket_setting}, true)
            OR current_setting(@{due_setting}, true) = 'on' THEN
        ignored := @{runtime}.django_tviews_drain(true);
    END IF;
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
