-- Most statements change one row: then it is read here, and its images are compared without a join.
SELECT @{found}
INTO @{row}
FROM @{rows}
LIMIT 1;
