DROP VIEW @{runtime}.django_tviews_refresh;
--;;
DROP TABLE @{runtime}.django_tviews_registry, @{runtime}.django_tviews_spool;
--;;
DROP FUNCTION @{runtime}.django_tviews_open(), @{runtime}.django_tviews_close(),
    @{runtime}.django_tviews_passed_on(oid),
    @{runtime}.django_tviews_drain(boolean), @{runtime}.django_tviews_repeated(regclass, text, text),
    @{runtime}.django_tviews_refuse_write(), @{runtime}.django_tviews_refresh(),
    @{runtime}.django_tviews_apply();
--;;
DROP VIEW @{runtime}.django_tviews_ring;
--;;
DROP FUNCTION @{runtime}.django_tviews_lock(regclass, integer[]),
    @{runtime}.django_tviews_wait(regclass, integer),
    @{runtime}.django_tviews_enter(regclass, integer[]),
    @{runtime}.django_tviews_enter_spare(bigint, bigint), @{runtime}.django_tviews_cells(),
    @{runtime}.django_tviews_conflicts(bigint, bigint, bigint),
    @{runtime}.django_tviews_committed(bigint),
    @{runtime}.django_tviews_exclusive(integer, bigint),
    @{runtime}.django_tviews_shared(integer, bigint);
--;;
DO $ring$
DECLARE
    name text;
BEGIN
    FOR cell IN 0..@{cells} LOOP
        FOREACH name IN ARRAY ARRAY['django_tviews_writer_', 'django_tviews_entry_'] LOOP
            EXECUTE format('DROP SEQUENCE %I.%I', @{runtime_literal}, name || cell);
        END LOOP;
    END LOOP;
END
$ring$;
