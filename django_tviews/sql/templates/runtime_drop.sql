DROP VIEW @{runtime}.django_tviews_refresh;
--;;
DROP TABLE @{runtime}.django_tviews_registry, @{runtime}.django_tviews_spool;
--;;
DROP FUNCTION @{runtime}.django_tviews_open(), @{runtime}.django_tviews_close(),
    @{runtime}.django_tviews_drain(), @{runtime}.django_tviews_lock(regclass, regclass),
    @{runtime}.django_tviews_refuse_write(), @{runtime}.django_tviews_refresh();
