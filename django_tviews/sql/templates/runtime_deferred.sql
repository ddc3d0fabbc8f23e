-- Deferred TViews: what their sources have changed stays in the spool until COMMIT. That is the
-- time of deferred constraint triggers, so there is a table to put one on: a transaction with
-- something in the spool has a ticket in it. Savepoints take ticket and spool back together, and
-- PREPARE TRANSACTION fires the trigger as COMMIT does, so neither has to outlive a crash.
CREATE UNLOGGED TABLE @{runtime}.django_tviews_ticket (
    transaction_id xid8 PRIMARY KEY DEFAULT pg_current_xact_id()
);
--;;
COMMENT ON TABLE @{runtime}.django_tviews_ticket IS
    'django_tviews: transactions that have deferred TViews to maintain before they commit';
--;;
-- After something has been put into the spool, never before: under SET CONSTRAINTS ALL IMMEDIATE
-- the trigger fires at once.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_defer() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    PERFORM set_config(@{ticket_setting}, 'on', true);
    -- RESET ALL forgets the setting, not the ticket.
    INSERT INTO @{runtime}.django_tviews_ticket DEFAULT VALUES ON CONFLICT DO NOTHING;
END
$function$;
--;;
-- At COMMIT, or when SET CONSTRAINTS brings it forward: maintain what is in the spool.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_apply() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    still_open CONSTANT integer := coalesce(nullif(current_setting(@{open_setting}, true), ''), '0')::integer;
BEGIN
    -- First, so that whatever is written from now on gets a ticket of its own.
    DELETE FROM @{runtime}.django_tviews_ticket WHERE transaction_id = pg_current_xact_id();
    PERFORM set_config(@{ticket_setting}, '', true);
    IF still_open > 0 THEN
        -- In the middle of a statement, which may have spooled only half of what it changes.
        PERFORM set_config(@{due_setting}, 'on', true);
        RETURN NULL;
    END IF;
    -- Counts as an open statement, so that TViews over these are spooled and follow.
    PERFORM set_config(@{open_setting}, '1', true);
    PERFORM @{runtime}.django_tviews_drain(true);
    PERFORM set_config(@{open_setting}, '0', true);
    RETURN NULL;
END
$function$;
--;;
CREATE CONSTRAINT TRIGGER django_tviews_apply AFTER INSERT ON @{runtime}.django_tviews_ticket
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION @{runtime}.django_tviews_apply();
--;;
REVOKE ALL ON @{runtime}.django_tviews_ticket FROM PUBLIC;
--;;
REVOKE ALL ON FUNCTION @{runtime}.django_tviews_defer(), @{runtime}.django_tviews_apply() FROM PUBLIC;
