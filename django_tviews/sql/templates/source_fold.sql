@{keys}
-- Add to the groups what has come, and take off what has gone. Left over are those for which that
-- does not settle everything: new groups, groups that may be empty now, lost extremes.
IF @{first_key_variable} IS NOT NULL THEN
    IF @{few} THEN
        @{fold_into};
    ELSE
        -- Many: planned afresh for their true number.
        EXECUTE $bulk$
        @{fold}
        $bulk$ INTO @{key_variables};
    END IF;
    IF @{first_key_variable} IS NOT NULL THEN
        PERFORM @{recompute}(@{key_variables});
    END IF;
END IF;
