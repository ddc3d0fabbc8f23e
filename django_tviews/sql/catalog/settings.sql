-- Settings as they are in force, and whether it is the server that says so: nobody later does.
SELECT name, pg_catalog.current_setting(name),
    source IN ('default', 'environment variable', 'configuration file', 'command line', 'global')
FROM pg_catalog.pg_settings
WHERE name = ANY (%s)
