-- AFTER TRUNCATE of @{table} or of one of its sources: everything may differ. The contents are
-- compared, never truncated, because flush truncates TViews and tables in one statement.
CREATE OR REPLACE FUNCTION @{truncated}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF @{stranger} THEN
        RAISE EXCEPTION 'function % does not keep a TView from %',
                @{function_literal}, TG_RELID::regclass
            USING ERRCODE = '42501', HINT = 'Was it detached from a source? Run tview_sync, or drop this trigger.';
    END IF;
    INSERT INTO @{runtime}.django_tviews_spool (tview, source, removed, image, ticket)
    @{spooled};
    RETURN NULL;
END
$function$;
