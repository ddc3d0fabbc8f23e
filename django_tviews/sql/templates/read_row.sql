-- Most statements change one row: then it is read here, and its images are compared without a join.
-- A session keeps the types of the first one that it sees, until this text changes with them: @{types}.
SELECT
    @{found}
INTO @{row}
FROM @{rows}
LIMIT 1;
