-- Recompute the rows of @{table} with the given keys: delete those that the query no longer
-- yields, insert the new ones, update those that differ. Rows that do not differ are not touched.
-- Only functions that have set the maintenance environment call this one.
CREATE OR REPLACE FUNCTION @{recompute}(
    @{key_parameters},
    OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    repeated text;
BEGIN
    IF cardinality(@{first_key_variable}) <= @{bulk_threshold} THEN
        -- Few keys: evaluate the query for one key after the other. OFFSET 0 keeps the planner
        -- from turning that into one join with the whole query.
        WITH fresh AS MATERIALIZED (
            SELECT fresh.*
            FROM unnest(@{key_variables}) AS affected (@{key_columns})
            CROSS JOIN LATERAL (
                SELECT @{outputs}
                FROM @{view} AS query
                WHERE @{key_matches_query}
                OFFSET 0
            ) AS fresh
        ),
        @{write_keys};
    ELSE
        -- Many keys: one join, planned afresh with their true number.
        EXECUTE $bulk$
        WITH fresh AS MATERIALIZED (
            SELECT @{outputs}
            FROM unnest(@{key_positions}) AS affected (@{key_columns})
            JOIN @{view} AS query ON @{key_matches_query}
        ),
        @{write_positions}
        $bulk$ INTO inserted, updated, deleted, repeated USING @{key_variables};
    END IF;
    @{refuse_repeated}
END
$function$;
