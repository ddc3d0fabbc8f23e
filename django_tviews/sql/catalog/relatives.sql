-- The partitions and inheritance children of relations, and the tables that they are one of, at
-- every level, the nearest of these first. A child of several parents comes once.
WITH RECURSIVE wanted (oid) AS (
    SELECT unnest(%s::oid[])
),
below (relation, relative) AS (
    SELECT wanted.oid, i.inhrelid
    FROM wanted JOIN pg_catalog.pg_inherits AS i ON i.inhparent = wanted.oid
    WHERE NOT i.inhdetachpending
    UNION
    SELECT below.relation, i.inhrelid
    FROM below JOIN pg_catalog.pg_inherits AS i ON i.inhparent = below.relative
    WHERE NOT i.inhdetachpending
),
above (relation, relative, distance) AS (
    SELECT wanted.oid, i.inhparent, 1
    FROM wanted JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = wanted.oid
    UNION
    SELECT above.relation, i.inhparent, above.distance + 1
    FROM above JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = above.relative
)
SELECT found.relation::bigint, c.oid::bigint, found.is_above
FROM (
    SELECT relation, relative, false, 0 FROM below
    UNION ALL
    SELECT relation, relative, true, max(distance) FROM above GROUP BY relation, relative
) AS found (relation, relative, is_above, distance)
JOIN pg_catalog.pg_class AS c ON c.oid = found.relative AND c.relkind IN ('r', 'p', 'f')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY found.distance, n.nspname, c.relname
