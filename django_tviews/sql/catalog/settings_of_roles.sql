-- What ALTER DATABASE SET, ALTER ROLE SET and both together have said for this database: the role,
-- NULL for all, whether it is the one that asks, whether for this database only, name and value.
-- Later rows win.
SELECT r.rolname, coalesce(r.rolname = session_user, true), s.setdatabase <> 0,
    pg_catalog.split_part(said.setting, '=', 1),
    pg_catalog.substr(said.setting, pg_catalog.strpos(said.setting, '=') + 1)
FROM pg_catalog.pg_db_role_setting AS s
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS said (setting)
WHERE s.setdatabase IN (
        0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
  AND pg_catalog.split_part(said.setting, '=', 1) = ANY (%s)
ORDER BY s.setrole <> 0, s.setdatabase <> 0, r.rolname
