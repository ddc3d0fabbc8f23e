-- Who waits for locks on TViews, or for the tables that they read: the process, what is locked, in
-- which mode, for how long, and for whom. Two numbers name a lock on a TView, one a table.
SELECT waiting.pid, waiting.locktype = 'relation',
    coalesce(waiting.relation, waiting.classid)::bigint, waiting.objid::bigint, waiting.mode,
    extract(epoch FROM pg_catalog.clock_timestamp() - waiting.waitstart)::float8,
    pg_catalog.pg_blocking_pids(waiting.pid)
FROM pg_catalog.pg_locks AS waiting
WHERE NOT waiting.granted
  AND waiting.database = (
        SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND (waiting.locktype = 'advisory' AND waiting.objsubid = 2
        AND waiting.classid = ANY (%s::oid[])
    OR waiting.locktype = 'relation' AND waiting.relation = ANY (%s::oid[]))
ORDER BY waiting.waitstart, waiting.pid
