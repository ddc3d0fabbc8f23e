-- What processes do: application, role, state and since when, age of the transaction, statement.
SELECT pid, coalesce(application_name, ''), coalesce(usename, ''), coalesce(state, ''),
    extract(epoch FROM pg_catalog.clock_timestamp() - state_change)::float8,
    extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8,
    coalesce(query, '')
FROM pg_catalog.pg_stat_activity
WHERE pid = ANY (%s::integer[])
