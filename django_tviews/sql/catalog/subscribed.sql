-- Tables among the given ones that a subscription writes to, with its name.
SELECT r.srrelid::bigint, s.subname
FROM pg_catalog.pg_subscription_rel AS r
JOIN pg_catalog.pg_subscription AS s ON s.oid = r.srsubid
WHERE r.srrelid = ANY (%s::oid[])
ORDER BY r.srrelid, s.subname
