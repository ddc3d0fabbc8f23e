-- When a MERGE has inserted rows into a partitioned table, PostgreSQL shows one of these in place of
-- each updated one (seen in 18.6). What became of the old rows is not known then: look at everything.
IF @{others_open} THEN
    IF EXISTS (SELECT FROM old_rows AS o WHERE NOT @{paired}) THEN
        @{spool};
        RETURN NULL;
    END IF;
END IF;
@{reaction}
