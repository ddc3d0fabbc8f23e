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
@{write_keys}
