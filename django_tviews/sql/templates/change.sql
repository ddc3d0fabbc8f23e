SELECT *
FROM (
    SELECT @{grouped_by},
        @{changes}
    FROM @{joined}
    GROUP BY @{places}
) AS change
