IF @{one_row} THEN
    -- It has changed.
ELSIF @{empty} THEN
    RETURN NULL;
END IF;
@{reaction}
