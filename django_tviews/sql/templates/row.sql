-- AFTER a row of @{source} that no statement trigger may have seen: it stands in a partition that
-- is newer than the triggers, or MERGE has moved it. What a statement trigger sees as well is
-- recomputed once.
CREATE OR REPLACE FUNCTION @{function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
    @{environment}
AS $function$
BEGIN
    -- Nobody would maintain it: the statement named the partition, and no other one is open.
    IF coalesce(nullif(current_setting(@{open_setting}, true), ''), '0') = '0' THEN
        RAISE EXCEPTION 'partition % is newer than what keeps TView % from %',
                TG_RELID::regclass, @{tview}, @{source_literal}
            USING ERRCODE = '55000',
                  SCHEMA = @{schema_literal},
                  TABLE = @{table_literal},
                  HINT = format('Run tview_sync, or write through %s.', @{source_literal});
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO @{runtime}.django_tviews_spool (tview, source, removed, image, ticket)
        @{spooled_old};
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO @{runtime}.django_tviews_spool (tview, source, removed, image, ticket)
        @{spooled_new};
    END IF;
    RETURN NULL;
END
$function$;
