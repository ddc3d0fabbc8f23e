-- Add to the groups what has come, and take off what has gone. Left over are those for which that
-- does not settle everything: new groups, groups that may be empty now, lost extremes.
IF @{few} THEN
    @{fold_into};
ELSE
    -- Many: planned afresh for their true number.
    EXECUTE $bulk$
    @{fold}
    $bulk$ INTO @{key_variables};
END IF;
