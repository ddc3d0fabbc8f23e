-- The server, and who asks it. The size of the lock table is counted as the server counts it, less
-- what it adds for processes of its own.
SELECT pg_catalog.current_setting('server_version'),
    pg_catalog.current_setting('server_version_num')::integer,
    pg_catalog.current_database(), session_user, pg_catalog.pg_backend_pid(),
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('max_locks_per_transaction')::integer * (
        pg_catalog.current_setting('max_connections')::integer
        + pg_catalog.current_setting('max_prepared_transactions')::integer)
