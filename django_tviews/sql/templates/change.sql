SELECT *
FROM (
    SELECT @{grouped_by},
        @{changes}
    FROM @{joined}
    WHERE @{filter}
    GROUP BY @{places}
) AS change
