SELECT pg_catalog.obj_description(%s::regclass, 'pg_class')
