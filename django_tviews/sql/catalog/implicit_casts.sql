-- Of pairs of types, those in which every value of the first becomes one of the second by itself.
SELECT wanted.old, wanted.new
FROM unnest(%s::text[], %s::text[]) AS wanted (old, new)
WHERE pg_catalog.to_regtype(wanted.old) = pg_catalog.to_regtype(wanted.new)
    OR EXISTS (
        SELECT
        FROM pg_catalog.pg_cast AS c
        WHERE c.castsource = pg_catalog.to_regtype(wanted.old)
          AND c.casttarget = pg_catalog.to_regtype(wanted.new)
          AND c.castcontext = 'i'
    )
