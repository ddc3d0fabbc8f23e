-- Few keys: evaluate the query for one key after the other. OFFSET 0 keeps the planner
-- from turning that into one join with the whole query.
WITH evaluated AS MATERIALIZED (
    SELECT affected.*, fresh.*
    FROM unnest(@{key_variables}) AS affected (@{affected_columns})
    LEFT JOIN LATERAL (
        SELECT row_number() OVER () AS @{found}, @{outputs}
        FROM @{query} AS query
        WHERE @{affected_matches_query}
        OFFSET 0
    ) AS fresh ON true
)
@{write}
