-- Keeps @{table} equal to its query after @{event} on @{source}.
CREATE OR REPLACE FUNCTION @{function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
    @{environment}
AS $function$
#variable_conflict use_column
DECLARE
    @{declarations}
BEGIN
    -- Nobody else's table may feed this TView.
    IF @{stranger} THEN
        RAISE EXCEPTION 'function % keeps a TView from %, not from %',
                @{function_literal}, @{source_literal}, TG_RELID::regclass
            USING ERRCODE = '42501', HINT = 'Was it detached from there? Run tview_sync, or drop this trigger.';
    END IF;
    @{reaction}
    RETURN NULL;
END
$function$;
