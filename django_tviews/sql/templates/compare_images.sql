-- Most statements update one row: then its images are compared as they are, without a join.
SELECT @{found}
INTO @{variables}
FROM (SELECT * FROM @{old_rows} AS before LIMIT 2) AS o, (SELECT * FROM @{new_rows} AS after LIMIT 2) AS n;
