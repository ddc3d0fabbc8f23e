-- One join, planned afresh for the true number of keys.
EXECUTE $bulk$
WITH fresh AS MATERIALIZED (
    SELECT @{outputs}
    FROM unnest(@{key_positions}) AS affected (@{key_columns})
    JOIN @{view} AS query ON @{key_matches_query}
),
@{write_positions}
$bulk$ INTO inserted, updated, deleted, repeated USING @{key_variables}
