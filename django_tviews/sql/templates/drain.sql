-- Maintain @{table} from the spool: find the keys that the spooled changes may affect, in the
-- current state and in any that the statement has left behind, and recompute them. What TViews
-- share calls it, and may belong to another role than the TView does.
CREATE OR REPLACE FUNCTION @{drain}() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    @{environment}
AS $function$
#variable_conflict use_column
DECLARE
    @{key_declarations}
    @{lock_declarations}
    everything boolean;
    changes bigint;
    -- The number of the source, if there are changes of one only.
    alone smallint;
BEGIN
    @{found_keys}
    @{taken}
    IF everything THEN
        PERFORM @{rebuild}();
    ELSIF @{first_key_variable} IS NOT NULL THEN
        ignored := @{recompute}(@{key_variables});
    END IF;
END
$function$;
