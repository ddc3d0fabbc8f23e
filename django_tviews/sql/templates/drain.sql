-- Maintain @{table} from the spool: find the keys that the spooled changes may affect, in the
-- current state and in any that the statement has left behind, and recompute them.
CREATE OR REPLACE FUNCTION @{drain}() RETURNS void
LANGUAGE plpgsql
    @{environment}
AS $function$
#variable_conflict use_column
DECLARE
    @{key_declarations}
    held integer[] := '{}';
    wanted integer[];
    everything boolean;
    changes bigint;
    -- The number of the source, if there are changes of one only.
    alone smallint;
BEGIN
    SELECT count(*), coalesce(bool_or(@{everything}), false),
        CASE WHEN min(spool.source) = max(spool.source) THEN min(spool.source) END
    INTO changes, everything, alone
    FROM @{runtime}.django_tviews_spool AS spool
    WHERE spool.transaction_id = pg_current_xact_id() AND spool.tview = @{tview};
    IF everything THEN
        PERFORM @{runtime}.django_tviews_lock(@{tview}, '{0}');
    ELSE
        @{keys}
    END IF;
    @{taken}
    IF everything THEN
        PERFORM @{rebuild}();
    ELSIF @{first_key_variable} IS NOT NULL THEN
        PERFORM @{recompute}(@{key_variables});
    END IF;
END
$function$;
