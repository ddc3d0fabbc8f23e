-- Relations with what plans depend on besides names, as digests that hold as long as nobody
-- changes anything. A rule is stored by numbers, so that renames leave it as it is. At last comes
-- where the rows are: elsewhere after each statement that writes the whole table anew.
SELECT c.oid::bigint, n.nspname, c.relname,
    pg_catalog.md5(pg_catalog.concat_ws(' ',
        c.relkind, c.relpersistence, c.relispartition, c.relrowsecurity, c.relforcerowsecurity,
        EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid),
        columns.facts,
        (
            SELECT pg_catalog.string_agg(
                pg_catalog.concat_ws(' ', i.indkey, i.indnkeyatts, i.indisvalid, i.indimmediate,
                    i.indisprimary, i.indexprs IS NULL, i.indpred IS NULL),
                ', ' ORDER BY i.indexrelid)
            FROM pg_catalog.pg_index AS i
            WHERE i.indrelid = c.oid AND i.indisunique
        ))),
    (
        SELECT pg_catalog.md5(pg_catalog.concat_ws(' ', r.ev_action::text, (
            -- The functions that it calls, also as operators and aggregates, and those that these
            -- are made of, as far as PostgreSQL knows them: not those in the text of a body.
            WITH RECURSIVE called (catalog, oid) AS (
                SELECT 'pg_catalog.pg_rewrite'::regclass::oid, r.oid
                UNION
                SELECT d.refclassid, d.refobjid
                FROM called
                JOIN pg_catalog.pg_depend AS d
                    ON d.classid = called.catalog AND d.objid = called.oid
                WHERE d.refclassid IN (
                    'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
            )
            SELECT pg_catalog.string_agg(
                pg_catalog.concat_ws(' ', p.oid, p.provolatile, p.proisstrict, p.proconfig,
                    p.prosrc, p.prosqlbody, a.agginitval),
                ', ' ORDER BY p.oid)
            FROM called
            JOIN pg_catalog.pg_proc AS p
                ON called.catalog = 'pg_catalog.pg_proc'::regclass AND p.oid = called.oid
            LEFT JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = p.oid
        )))
        FROM pg_catalog.pg_rewrite AS r
        WHERE r.ev_class = c.oid AND r.ev_type = '1' AND c.relkind = 'v'
    ),
    pg_catalog.concat_ws(' ',
        descendants.oids,
        (
            SELECT pg_catalog.md5(pg_catalog.string_agg(d.adbin::text, ' ' ORDER BY d.adnum))
            FROM pg_catalog.pg_attrdef AS d
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            WHERE d.adrelid = c.oid AND a.attgenerated <> ''
        )),
    columns.numbers, columns.names, columns.types,
    pg_catalog.concat_ws(' ', pg_catalog.pg_relation_filenode(c.oid), descendants.files)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT
        pg_catalog.string_agg(
            pg_catalog.concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.attnotnull,
                a.attcollation, a.attgenerated, t.typname, t.typnamespace::regnamespace),
            ', ' ORDER BY a.attnum) AS facts,
        coalesce(pg_catalog.array_agg(a.attnum::integer ORDER BY a.attnum), '{}') AS numbers,
        coalesce(pg_catalog.array_agg(a.attname::text ORDER BY a.attnum), '{}') AS names,
        coalesce(
            pg_catalog.array_agg(
                pg_catalog.concat_ws(' ', a.atttypid, a.atttypmod) ORDER BY a.attnum),
            '{}') AS types
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
) AS columns
CROSS JOIN LATERAL (
    WITH RECURSIVE below (oid) AS (
        SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid
        UNION
        SELECT i.inhrelid
        FROM below JOIN pg_catalog.pg_inherits AS i ON i.inhparent = below.oid
    )
    SELECT
        pg_catalog.string_agg(below.oid::text, ' ' ORDER BY below.oid) AS oids,
        pg_catalog.string_agg(
            pg_catalog.pg_relation_filenode(below.oid)::text, ' ' ORDER BY below.oid) AS files
    FROM below
) AS descendants
WHERE c.oid = ANY (%s::oid[])
