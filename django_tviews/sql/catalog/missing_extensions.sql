-- Extensions that could be installed, and have the name of something that is used.
SELECT name
FROM pg_catalog.pg_available_extensions
WHERE installed_version IS NULL AND name = ANY (%s)
ORDER BY name
