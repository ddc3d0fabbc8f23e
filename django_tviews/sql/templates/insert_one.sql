-- A new row, as the query has it: there can be no second one, and most likely none is stored.
INSERT INTO @{table} (@{columns})
SELECT @{outputs}
FROM @{query} AS query
WHERE @{one_key_matches_query}
ON CONFLICT (@{key_columns}) DO NOTHING
