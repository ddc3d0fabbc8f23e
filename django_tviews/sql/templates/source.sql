-- Keeps @{table} equal to its query after @{event} on @{source}.
CREATE OR REPLACE FUNCTION @{function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
    @{environment}
AS $function$
#variable_conflict use_column
DECLARE
    @{key_declarations}
    held integer[] := '{}';
    wanted integer[];
BEGIN
    -- Nobody else's table may feed this TView.
    IF @{stranger} THEN
        RAISE EXCEPTION 'function % keeps a TView from %, not from %',
                @{function_literal}, @{source_literal}, TG_RELID::regclass
            USING ERRCODE = '42501', HINT = 'Was it detached from there? Run tview_sync, or drop this trigger.';
    END IF;
    -- Nothing that the query reads has changed.
    IF NOT EXISTS (
        @{delta}
    ) THEN
        RETURN NULL;
    END IF;
    -- Other statements are open (a cascade, WITH, MERGE, an upsert, a trigger): wait for the last.
    IF @{others_open} THEN
        INSERT INTO @{runtime}.django_tviews_spool (tview, source, removed, image)
        @{spooled};
        PERFORM set_config(@{spooled_setting}, 'on', true);
        RETURN NULL;
    END IF;
    @{maintenance}
    RETURN NULL;
END
$function$;
