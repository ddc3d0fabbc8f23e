-- Other statements are open (a cascade, WITH, MERGE, an upsert, a trigger): wait for the last.
IF @{others_open} THEN
    @{spool}
    RETURN NULL;
END IF;
@{maintenance}
