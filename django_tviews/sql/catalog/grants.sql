-- What others than its owner may do with a relation; 0 is everybody.
SELECT CASE WHEN acl.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(acl.grantee)::text END,
    acl.privilege_type, acl.is_grantable
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS acl
WHERE c.oid = %s::oid AND acl.grantee <> c.relowner
ORDER BY 1, 2
