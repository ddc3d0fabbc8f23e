-- One join, planned afresh for the true number of keys.
EXECUTE $bulk$
WITH evaluated AS MATERIALIZED (
    SELECT affected.*, fresh.*, @{number_of_key} AS @{found}
    FROM unnest(@{key_positions}) AS affected (@{affected_columns})
    LEFT JOIN (
        SELECT true AS @{present}, @{outputs}
        FROM @{query} AS query
    ) AS fresh ON @{affected_matches_fresh}
)
@{write}
$bulk$ USING @{key_variables}
