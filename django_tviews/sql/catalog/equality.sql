-- The equality operator of a type is that of its default btree operator class (strategy 3); that of
-- a domain is its base type's.
WITH RECURSIVE base (type, oid) AS (
    SELECT wanted.type, pg_catalog.to_regtype(wanted.type)::oid
    FROM unnest(%s::text[]) AS wanted (type)
    UNION ALL
    SELECT base.type, t.typbasetype
    FROM base
    JOIN pg_catalog.pg_type AS t ON t.oid = base.oid AND t.typtype = 'd'
)
SELECT base.type, n.nspname
FROM base
JOIN pg_catalog.pg_opclass AS c ON c.opcintype = base.oid AND c.opcdefault
JOIN pg_catalog.pg_am AS am ON am.oid = c.opcmethod AND am.amname = 'btree'
JOIN pg_catalog.pg_amop AS operator_of
    ON operator_of.amopfamily = c.opcfamily AND operator_of.amopstrategy = 3
    AND operator_of.amoplefttype = base.oid AND operator_of.amoprighttype = base.oid
JOIN pg_catalog.pg_operator AS o ON o.oid = operator_of.amopopr
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE n.nspname <> 'pg_catalog'
