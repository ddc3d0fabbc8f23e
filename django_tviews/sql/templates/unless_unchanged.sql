-- Nothing that the query reads has changed.
IF NOT EXISTS (
    @{delta}
) THEN
    RETURN NULL;
END IF;
@{reaction}
