-- One join, planned afresh for the true number of keys.
EXECUTE $bulk$
WITH evaluated AS MATERIALIZED (
    SELECT affected.*, fresh.*
    FROM unnest(@{key_positions}) AS affected (@{affected_columns})
    LEFT JOIN (
        SELECT true AS @{found}, @{outputs}
        FROM @{view} AS query
    ) AS fresh ON @{affected_matches_fresh}
),
@{write_dynamic}
$bulk$ INTO inserted, updated, deleted, repeated USING @{key_variables}
