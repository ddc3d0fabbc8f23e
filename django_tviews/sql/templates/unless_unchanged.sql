-- Nothing that the query reads has changed.
IF @{unchanged} THEN
    RETURN NULL;
END IF;
@{reaction}
