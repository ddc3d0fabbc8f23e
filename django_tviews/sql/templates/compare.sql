-- How @{table} differs from its query; one statement, so that both are read in one snapshot.
-- A key that the query gives twice matches its row once: the second time it is a missing row.
WITH stored AS (
    SELECT @{stored}, 1::bigint AS occurrence
    FROM @{table} AS tview
),
queried AS (
    SELECT fresh.*, row_number() OVER (PARTITION BY @{key}) AS occurrence
    FROM (SELECT @{queried} FROM @{query} AS query) AS fresh
),
differences AS MATERIALIZED (
    SELECT
        CASE
            WHEN stored.occurrence IS NULL THEN 'missing'
            WHEN queried.occurrence IS NULL THEN 'extra'
            ELSE 'different'
        END AS kind,
        @{either_key},
        stored,
        queried,
        CASE WHEN stored.occurrence = queried.occurrence
            THEN array_remove(ARRAY[@{different_columns}]::integer[], NULL)
            ELSE '{}'
        END AS different_columns
    FROM stored
    FULL JOIN queried ON @{key_matches} AND queried.occurrence = stored.occurrence
    WHERE stored.occurrence IS NULL
        OR queried.occurrence IS NULL
        OR @{different}
)
SELECT
    (SELECT count(*) FROM @{table}),
    (SELECT count(*) FROM differences WHERE kind = 'missing'),
    (SELECT count(*) FROM differences WHERE kind = 'extra'),
    (SELECT count(*) FROM differences WHERE kind = 'different'),
    (
        SELECT coalesce(
            json_agg(
                json_build_array(
                    kind,
                    ARRAY[@{key_texts}],
                    different_columns,
                    ARRAY[@{stored_texts}],
                    ARRAY[@{queried_texts}]
                )
                ORDER BY @{key}, kind
            ),
            '[]'
        )::text
        FROM (SELECT * FROM differences ORDER BY @{key}, kind LIMIT @{limit}) AS listed
    )
