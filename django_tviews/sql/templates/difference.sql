FROM (
    SELECT image, sum(CASE WHEN removed THEN -1 ELSE 1 END) AS times
    FROM taken
    GROUP BY image
) AS difference
CROSS JOIN LATERAL (
    SELECT difference.times < 0 AS removed, difference.image
    FROM generate_series(1, abs(difference.times))
) AS spool
