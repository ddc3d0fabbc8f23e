IF @{few} THEN
    @{routes_into};
ELSE
    -- Many changes: planned afresh with their true number.
    EXECUTE $bulk$
    @{routes}
    $bulk$ INTO @{key_variables}, wanted;
END IF;
