-- A row needs the whole partition: evaluate the query for one of them after the other.
WITH units AS MATERIALIZED (
    @{units}
),
fresh AS MATERIALIZED (
    SELECT fresh.*
    FROM units
    CROSS JOIN LATERAL (
        SELECT @{outputs}
        FROM @{view} AS query
        WHERE @{unit_matches_query}
        OFFSET 0
    ) AS fresh
    JOIN unnest(@{key_variables}) AS affected (@{key_columns}) ON @{key_matches_fresh_row}
),
@{write_keys}
