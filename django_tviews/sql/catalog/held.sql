-- The modes in which processes hold a lock; none for those that only asked for it earlier. Prepared
-- transactions have no process.
SELECT coalesce(held.pid, 0), held.mode
FROM pg_catalog.pg_locks AS held
WHERE held.granted AND coalesce(held.pid, 0) = ANY (%s::integer[])
  AND held.database = (
        SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND (CASE WHEN %s
        THEN held.locktype = 'relation' AND held.relation = %s
        ELSE held.locktype = 'advisory' AND held.objsubid = 2
         AND held.classid = %s AND held.objid = %s
    END)
