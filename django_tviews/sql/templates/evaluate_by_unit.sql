-- A row needs the whole partition: evaluate the query for one of them after the other.
WITH units AS MATERIALIZED (
    @{units}
),
evaluated AS MATERIALIZED (
    SELECT affected.*, fresh.*, @{number_of_key} AS @{found}
    FROM unnest(@{key_variables}) AS affected (@{affected_columns})
    LEFT JOIN (
        units
        CROSS JOIN LATERAL (
            SELECT true AS @{present}, @{outputs}
            FROM @{query} AS query
            WHERE @{unit_matches_query}
            OFFSET 0
        ) AS fresh
    ) ON @{affected_matches_fresh}
)
@{write}
