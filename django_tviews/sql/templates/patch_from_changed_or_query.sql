-- The whole TView is locked, since many rows have changed columns: the changed rows show what to.
IF held = '{0}' THEN
    EXECUTE $bulk$
    WITH @{ctes}
    @{patch}
    $bulk$;
ELSE
    @{otherwise}
END IF;
