-- What all TViews of a schema share: the registry, the spool, and the functions that see to it
-- that maintenance happens once per top-level statement.

-- One row per installed TView.
CREATE TABLE @{runtime}.django_tviews_registry (
    tview regclass PRIMARY KEY,
    label text NOT NULL,
    declaration jsonb NOT NULL,
    depth integer NOT NULL,
    drain text NOT NULL,
    format_version integer NOT NULL,
    fingerprint text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now()
);
--;;
COMMENT ON TABLE @{runtime}.django_tviews_registry IS @{runtime_comment};
--;;
-- Row images that wait for the end of the top-level statement. A transaction sees and deletes
-- only rows of its own, so the table is empty whenever nothing is running; losing it in a crash
-- loses nothing.
CREATE UNLOGGED TABLE @{runtime}.django_tviews_spool (
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tview regclass NOT NULL,
    -- The number of the source; 0 asks for a key, or for everything if the image is NULL.
    source smallint NOT NULL,
    -- The row was there before the statement and is not any more.
    removed boolean NOT NULL DEFAULT false,
    -- The columns that the query reads, as text.
    image text[],
    -- Asks for maintenance at COMMIT. Of the rows of a deferred TView in a transaction the first does.
    ticket boolean NOT NULL DEFAULT false
);
--;;
CREATE INDEX django_tviews_spool_transaction ON @{runtime}.django_tviews_spool
    (transaction_id, tview);
--;;
COMMENT ON TABLE @{runtime}.django_tviews_spool IS
    'django_tviews: row images that wait for the end of the running statement';
--;;
-- BEFORE each statement on a source: one more statement is open.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_open() RETURNS trigger
LANGUAGE plpgsql AS $function$
DECLARE
    -- To assign what a function returns costs a tenth of what PERFORM does.
    ignored text := pg_catalog.set_config(
        @{open_setting},
        (coalesce(nullif(pg_catalog.current_setting(@{open_setting}, true), ''), '0')::integer + 1)::text,
        true);
BEGIN
    -- UPDATE and MERGE may move rows between partitions.
    IF TG_OP = 'UPDATE' THEN
        ignored := pg_catalog.set_config(@{updating_setting}, 'on', true);
    END IF;
    RETURN NULL;
END
$function$;
--;;
-- AFTER each statement on a source, after the TViews' own triggers: one statement less is open.
-- The last one out maintains what was spooled. It still counts as open meanwhile, so that
-- changes of TViews, which other TViews read, are spooled in their turn.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_close() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    still_open CONSTANT integer := coalesce(nullif(current_setting(@{open_setting}, true), ''), '1')::integer - 1;
    ignored text;
BEGIN
    IF still_open <= 0 AND 'on' IN (current_setting(@{spooled_setting}, true), current_setting(@{due_setting}, true)) THEN
        ignored := @{runtime}.django_tviews_drain(false);
    END IF;
    ignored := set_config(@{open_setting}, greatest(still_open, 0)::text, true);
    IF still_open <= 0 AND current_setting(@{updating_setting}, true) = 'on' THEN
        ignored := set_config(@{updating_setting}, '', true);
    END IF;
    RETURN NULL;
END
$function$;
--;;
-- Tell a trigger on a TView whether it may maintain at once what reads it: all that has changed with
-- the statement below is known, and nobody else has to be maintained before.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_passed_on(source oid) RETURNS boolean
LANGUAGE plpgsql AS $function$
DECLARE
    -- Which TView is brought up to date, after which change: the table, and type and name of the
    -- trigger there.
    passing CONSTANT text[] := string_to_array(current_setting(@{passing_setting}, true), ' ');
BEGIN
    -- MERGE counts as three, since it fires the triggers of three events, each with a part of the
    -- difference: but for the last, if that finds nothing of the others in the spool.
    IF passing[1] IS DISTINCT FROM source::text
            OR current_setting(@{open_setting}, true) IS DISTINCT FROM '2'
            OR current_setting(@{spooled_setting}, true) = 'on' THEN
        RETURN false;
    END IF;
    -- TViews that are next to be told of that change come before those above this one.
    RETURN NOT EXISTS (
        SELECT
        FROM pg_trigger
        WHERE tgrelid = passing[2]::oid
          AND tgtype = passing[3]::smallint
          AND tgname > array_to_string(passing[4:], ' ') AND tgname < 'tviews_3'
    );
END
$function$;
--;;
-- Maintain every TView that has rows in the spool, those that others read first; deferred ones
-- only if it is their time. Who calls this has set a search path.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_drain(deferred boolean) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    drains text[];
    next_drain text;
    rounds integer := 0;
    more boolean := true;
    unknown regclass;
    ignored text;
BEGIN
    WHILE more LOOP
        -- Under SET CONSTRAINTS ALL IMMEDIATE maintenance itself may have made it their time; in the
        -- middle of a statement, which may have spooled only half of what it changes, it is not yet.
        deferred := deferred OR (
            current_setting(@{due_setting}, true) = 'on' AND current_setting(@{open_setting}, true) = '1') IS TRUE;
        -- Whatever is put into the spool from now on sets them again.
        ignored := set_config(@{spooled_setting}, '', true)
            || CASE WHEN deferred THEN
                set_config(@{ticket_setting}, 'none', true) || set_config(@{due_setting}, '', true)
            END;
        IF current_setting(@{repairing_setting}, true) = 'on' THEN
            -- What was wrong before a refresh need not have reached those above: to add the difference
            -- would not do. Beside a request, if only for no key, they recompute.
            INSERT INTO @{runtime}.django_tviews_spool (tview, source, image)
            SELECT DISTINCT spool.tview, 0, '{}'::text[]
            FROM @{runtime}.django_tviews_spool AS spool
            WHERE spool.transaction_id = pg_current_xact_id();
        END IF;
        -- Most often there is one, which can be told from more for less than it takes to sort them.
        SELECT ARRAY[registry.drain] INTO drains
        FROM (
            SELECT min(spool.tview::oid) AS first, max(spool.tview::oid) AS last
            FROM @{runtime}.django_tviews_spool AS spool
            WHERE spool.transaction_id = pg_current_xact_id()
        ) AS spool
        JOIN @{runtime}.django_tviews_registry AS registry ON registry.tview = spool.first
        WHERE spool.first = spool.last AND (deferred OR registry.declaration ->> 'mode' = 'immediate');
        IF NOT FOUND THEN
            -- As the triggers fire, so that single statements never lock each other up.
            SELECT array_agg(registry.drain ORDER BY registry.depth, relation.relname) INTO drains
            FROM (
                SELECT DISTINCT spool.tview
                FROM @{runtime}.django_tviews_spool AS spool
                WHERE spool.transaction_id = pg_current_xact_id()
            ) AS spool
            JOIN @{runtime}.django_tviews_registry AS registry ON registry.tview = spool.tview
            JOIN pg_class AS relation ON relation.oid = spool.tview
            WHERE deferred OR registry.declaration ->> 'mode' = 'immediate';
            -- A TView that was dropped meanwhile has nobody to wait for; any other has to be known.
            SELECT spool.tview INTO unknown
            FROM @{runtime}.django_tviews_spool AS spool
            JOIN pg_class AS relation ON relation.oid = spool.tview
            LEFT JOIN @{runtime}.django_tviews_registry AS registry ON registry.tview = spool.tview
            WHERE spool.transaction_id = pg_current_xact_id() AND registry.tview IS NULL
            LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'TView % is not in the registry', unknown
                    USING ERRCODE = '55000',
                          SCHEMA = (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = unknown),
                          TABLE = (SELECT relname::text FROM pg_class WHERE oid = unknown),
                          HINT = 'Was the schema restored without its data? Run tview_sync.';
            END IF;
        END IF;
        more := false;
        FOREACH next_drain IN ARRAY coalesce(drains, '{}') LOOP
            rounds := rounds + 1;
            IF rounds > 1000 THEN
                RAISE EXCEPTION 'TView % is changed by its own maintenance again and again',
                        (SELECT label FROM @{runtime}.django_tviews_registry AS registry
                         WHERE registry.drain = next_drain)
                    USING ERRCODE = '54001',
                          HINT = 'A trigger on a TView writes to a table that the TView reads: drop it.';
            END IF;
            EXECUTE 'SELECT ' || next_drain || '()';
            -- TViews that read this one have something to do now, and may come before the next.
            more := current_setting(@{spooled_setting}, true) = 'on'
                OR coalesce(current_setting(@{due_setting}, true), '') = 'on'
                OR deferred AND current_setting(@{ticket_setting}, true) <> 'none';
            EXIT WHEN more;
        END LOOP;
    END LOOP;
END
$function$;
--;;
-- Raised where maintenance finds a second row for a key; boolean, so that conditions can call it.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_repeated(tview regclass, key text, value text)
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    RAISE EXCEPTION 'the query of TView % gives several rows for one key', tview
        USING ERRCODE = '21000',
              SCHEMA = (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = tview),
              TABLE = (SELECT relname::text FROM pg_class WHERE oid = tview),
              DETAIL = format('The key is (%s) = (%s).', key, value),
              HINT = 'Group the query by the key, or add the columns that tell the rows apart to the key.';
END
$function$;
--;;
-- BEFORE a statement on a TView itself: nobody but maintenance, which runs inside triggers, writes.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_refuse_write() RETURNS trigger
LANGUAGE plpgsql AS $function$
BEGIN
    RAISE EXCEPTION 'cannot change TView "%"', TG_TABLE_NAME
        USING ERRCODE = '42809',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              HINT = 'PostgreSQL keeps it equal to its query: write to the tables the query reads.';
END
$function$;
--;;
-- INSERT INTO django_tviews_refresh (tview) VALUES ('shop_productcard') RETURNING *;
-- recomputes a TView, or given keys of it: [[1], [2]].
CREATE VIEW @{runtime}.django_tviews_refresh AS
    SELECT NULL::regclass AS tview, NULL::jsonb AS keys,
           NULL::bigint AS inserted, NULL::bigint AS updated, NULL::bigint AS deleted
    WHERE false;
--;;
COMMENT ON VIEW @{runtime}.django_tviews_refresh IS
    'django_tviews: insert (tview, keys) to recompute a TView, or given keys of it';
--;;
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_refresh() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    installed @{runtime}.django_tviews_registry;
BEGIN
    SELECT * INTO installed FROM @{runtime}.django_tviews_registry WHERE tview = NEW.tview;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a TView', NEW.tview
            USING ERRCODE = '42704', HINT = 'SELECT label, tview FROM django_tviews_registry lists them.';
    END IF;
    IF coalesce(nullif(current_setting(@{open_setting}, true), ''), '0') <> '0' THEN
        -- Only half of what it changes may be in the spool, to be taken out of it.
        RAISE EXCEPTION 'TView % cannot be refreshed in the middle of a statement', NEW.tview
            USING ERRCODE = '58000',
                  TABLE = (SELECT relname FROM pg_class WHERE oid = NEW.tview),
                  HINT = 'A trigger does not see all that its statement changes. Refresh by a statement of its own.';
    END IF;
    IF NEW.keys IS NULL THEN
        INSERT INTO @{runtime}.django_tviews_spool (tview, source) VALUES (NEW.tview, 0);
    ELSE
        INSERT INTO @{runtime}.django_tviews_spool (tview, source, image)
        SELECT NEW.tview, 0, ARRAY(SELECT jsonb_array_elements_text(keys.value))
        FROM jsonb_array_elements(NEW.keys) AS keys;
    END IF;
    -- What PostgreSQL has counted of the TView in this transaction; NULL if track_counts is off.
    IF current_setting('track_counts')::boolean THEN
        NEW.inserted := -pg_stat_get_xact_tuples_inserted(NEW.tview);
        NEW.updated := -pg_stat_get_xact_tuples_updated(NEW.tview);
        NEW.deleted := -pg_stat_get_xact_tuples_deleted(NEW.tview);
    END IF;
    -- Counts as an open statement, so that TViews over this one are spooled and follow below.
    PERFORM set_config(@{open_setting}, '1', true);
    EXECUTE 'SELECT ' || installed.drain || '()';
    NEW.inserted := NEW.inserted + pg_stat_get_xact_tuples_inserted(NEW.tview);
    NEW.updated := NEW.updated + pg_stat_get_xact_tuples_updated(NEW.tview);
    NEW.deleted := NEW.deleted + pg_stat_get_xact_tuples_deleted(NEW.tview);
    PERFORM set_config(@{repairing_setting}, 'on', true);
    PERFORM @{runtime}.django_tviews_drain(false);
    PERFORM set_config(@{open_setting}, '0', true);
    RETURN NEW;
END
$function$;
--;;
CREATE TRIGGER refresh INSTEAD OF INSERT ON @{runtime}.django_tviews_refresh
    FOR EACH ROW EXECUTE FUNCTION @{runtime}.django_tviews_refresh();
--;;
REVOKE ALL ON @{runtime}.django_tviews_registry, @{runtime}.django_tviews_spool,
    @{runtime}.django_tviews_refresh FROM PUBLIC;
--;;
REVOKE ALL ON FUNCTION @{runtime}.django_tviews_open(), @{runtime}.django_tviews_close(),
    @{runtime}.django_tviews_passed_on(oid),
    @{runtime}.django_tviews_drain(boolean), @{runtime}.django_tviews_repeated(regclass, text, text),
    @{runtime}.django_tviews_refuse_write(), @{runtime}.django_tviews_refresh() FROM PUBLIC;
