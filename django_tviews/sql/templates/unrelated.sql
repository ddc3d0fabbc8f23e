NOT EXISTS (
    WITH RECURSIVE above (relation, relative) AS (
        SELECT i.inhrelid, i.inhparent
        FROM pg_inherits AS i WHERE i.inhrelid IN (TG_RELID, @{source})
        UNION
        SELECT above.relation, i.inhparent
        FROM above JOIN pg_inherits AS i ON i.inhrelid = above.relative
    )
    SELECT FROM above
    WHERE (relation, relative) IN ((TG_RELID, @{source}), (@{source}, TG_RELID))
)
