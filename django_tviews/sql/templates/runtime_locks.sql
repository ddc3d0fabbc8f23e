-- Locks of writers on what they maintain; django_tviews/plan/locks.py says which, and why they
-- suffice. A lock is one integer: twice a position, plus one if it is shared. Position 0 is the
-- whole TView; the others are @{slots} slots for each place, over which hashes spread its values.

-- The exclusive lock on a value at a place.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_exclusive(place integer, hash bigint) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN 2 * (place * @{slots} + (hash & (@{slots} - 1))::integer + 1);
--;;
-- The shared lock on a value at a place.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_shared(place integer, hash bigint) RETURNS integer
LANGUAGE sql IMMUTABLE
RETURN 2 * (place * @{slots} + (hash & (@{slots} - 1))::integer + 1) + 1;
--;;
-- At REPEATABLE READ and SERIALIZABLE a snapshot stays what it was, however long one has waited.
-- So every writer enters what it has locked into a ring of cells, which are sequences, because
-- those are read and written outside of transactions; and a writer at these levels goes on only if
-- it sees all who have committed with locks that conflict with its own. The cell of a writer is
-- its transaction number modulo @{cells}. One sequence of the cell holds the number, the other a bit
-- for each class of slots: the lower @{bits} for exclusive locks, the next @{bits} for shared ones.
-- A crash empties the ring; of those who were writing then, only prepared transactions go on, and
-- an empty cell counts as one that a later writer has replaced.
-- A cell that somebody has dropped is made again by the same statement.
DO $ring$
DECLARE
    name text;
    sequence text;
BEGIN
    FOR cell IN 0..@{cells} - 1 LOOP
        FOREACH name IN ARRAY ARRAY['django_tviews_writer_', 'django_tviews_entry_'] LOOP
            sequence := format('%I.%I', @{runtime_literal}, name || cell);
            IF to_regclass(sequence) IS NULL THEN
                EXECUTE format('CREATE UNLOGGED SEQUENCE %s MINVALUE 0', sequence);
                PERFORM setval(sequence, 0);
            END IF;
        END LOOP;
    END LOOP;
END
$ring$;
--;;
-- What the ring's cells hold.
CREATE VIEW @{runtime}.django_tviews_ring AS
    SELECT cell,
           pg_catalog.pg_sequence_last_value(writers[cell]) AS writer,
           pg_catalog.pg_sequence_last_value(entries[cell]) AS entry
    FROM (VALUES (@{writer_sequences}, @{entry_sequences})) AS ring (writers, entries),
         pg_catalog.generate_series(1, @{cells}) AS cell;
--;;
-- Whether a transaction has committed; NULL if this cluster has not reached its number, which
-- then came with a dump.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_committed(transaction_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    RETURN coalesce(pg_xact_status(transaction_id::text::xid8) = 'committed', true);
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN NULL;
END
$function$;
--;;
-- Whether somebody whom the snapshot does not show has committed with conflicting locks, or with
-- an entry that a later writer has replaced.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_conflicts(own bigint, exclusive bigint, shared bigint)
RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $function$
WITH unseen AS MATERIALIZED (
    SELECT ring.writer, ring.entry, @{runtime}.django_tviews_committed(ring.writer) AS committed
    FROM @{runtime}.django_tviews_ring AS ring
    WHERE ring.writer <> own
      AND NOT pg_visible_in_snapshot(ring.writer::text::xid8, pg_current_snapshot())
),
replaced AS (
    SELECT running.id
    FROM pg_snapshot_xip(pg_current_snapshot()) AS snapshot (id),
         LATERAL (SELECT snapshot.id::text::bigint) AS running (id)
    JOIN @{runtime}.django_tviews_ring AS ring ON ring.cell = running.id % @{cells} + 1
    WHERE ring.writer IS NULL
       OR ring.writer > running.id AND @{runtime}.django_tviews_committed(ring.writer) IS NOT NULL
    UNION ALL
    SELECT later.id
    FROM @{runtime}.django_tviews_ring AS ring,
         generate_series(
            ring.writer - @{cells},
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
            -@{cells}) AS later (id)
    WHERE ring.writer = own OR EXISTS (
        SELECT FROM unseen WHERE unseen.writer = ring.writer AND unseen.committed IS NOT NULL)
)
SELECT EXISTS (
    SELECT FROM unseen
    WHERE unseen.committed
      AND (unseen.entry & (exclusive | (exclusive << @{bits}) | shared) <> 0)
) OR EXISTS (
    SELECT FROM replaced
    WHERE replaced.id <> own AND @{runtime}.django_tviews_committed(replaced.id)
)
$function$;
--;;
-- Enter locks into the ring. It has no search path of its own, which every writer would pay for:
-- django_tviews_lock has set one before it calls this, and migrations call it by themselves.
-- Each expression is prepared anew in each transaction, so there are as few as can be.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_enter(tview regclass, locks integer[]) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    own CONSTANT bigint := pg_current_xact_id()::text::bigint;
    cell CONSTANT integer := own % @{cells} + 1;
    of_writer CONSTANT regclass := (@{writer_sequences})[cell];
    of_entry CONSTANT regclass := (@{entry_sequences})[cell];
    sees_all CONSTANT boolean := current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable');
    everything CONSTANT bigint := (1::bigint << @{bits}) - 1;
    entry bigint := 0;
    writer bigint;
    lock integer;
    conflict boolean := false;
BEGIN
    FOREACH lock IN ARRAY locks LOOP
        entry := entry | CASE
            WHEN lock = 0 THEN everything | (everything << @{bits})
            ELSE 1::bigint << ((lock >> 1) - 1) % @{slots} % @{bits} + (lock & 1) * @{bits}
        END;
    END LOOP;
    IF sees_all AND pg_sequence_last_value(of_writer) = own
            AND pg_sequence_last_value(of_entry) & entry = entry THEN
        RETURN;
    END IF;
    BEGIN
        -- The ring's own lock, for as long as this block lasts: who only enters keeps out those who
        -- judge, and others of the same cell; who judges keeps out everybody.
        IF NOT sees_all THEN
            PERFORM pg_advisory_xact_lock(@{lock_class}, 0);
            conflict := @{runtime}.django_tviews_conflicts(own, entry & everything, entry >> @{bits});
        ELSIF NOT (pg_try_advisory_xact_lock_shared(@{lock_class}, 0)
                AND pg_try_advisory_xact_lock(@{lock_class}, cell)) THEN
            PERFORM pg_advisory_xact_lock_shared(@{lock_class}, 0);
            PERFORM pg_advisory_xact_lock(@{lock_class}, cell);
        END IF;
        writer := pg_sequence_last_value(of_writer);
        IF writer = own THEN
            entry := entry | pg_sequence_last_value(of_entry);
        ELSIF writer > own AND @{runtime}.django_tviews_committed(writer) IS NULL THEN
            writer := NULL;
        END IF;
        -- A later writer's entry stays: whom it concerns knows that there may have been another.
        IF NOT conflict AND coalesce(writer, 0) <= own THEN
            entry := setval(of_entry, entry);
            writer := setval(of_writer, own);
        END IF;
        -- Gives up the lock; what setval has done stays.
        RAISE SQLSTATE 'TV002';
    EXCEPTION WHEN SQLSTATE 'TV002' THEN
        NULL;
    END;
    IF conflict THEN
        RAISE EXCEPTION 'could not serialize access to TView % due to concurrent update', tview
            USING ERRCODE = '40001',
                  SCHEMA = (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = tview),
                  TABLE = (SELECT relname::text FROM pg_class WHERE oid = tview),
                  HINT = 'Retry the transaction.';
    END IF;
END
$function$;
--;;
-- Wait for a lock on a TView. If that takes longer than lock_timeout allows, say which it was, as
-- PostgreSQL itself does of deadlocks: database, TView, number.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_wait(tview regclass, lock integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF lock & 1 = 0 THEN
        PERFORM pg_advisory_xact_lock(tview::oid::integer, lock >> 1);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(tview::oid::integer, lock >> 1);
    END IF;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION '%', SQLERRM
        USING ERRCODE = '55P03',
              SCHEMA = (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = tview),
              TABLE = (SELECT relname::text FROM pg_class WHERE oid = tview),
              DETAIL = format(
                  'Process %s waited for advisory lock [%s,%s,%s,2].', pg_backend_pid(),
                  (SELECT oid FROM pg_database WHERE datname = current_database()),
                  tview::oid, lock >> 1),
              HINT = 'tview_check --locks says who has it.';
END
$function$;
--;;
-- Take locks on a TView until the transaction ends.
--
-- They come in ascending order, so that two statements never wait for each other. Whoever locks
-- anything of a TView shares the lock on the whole; whoever needs more locks than shared memory
-- can spare takes the whole instead. pg_locks shows them with classid = the TView's OID.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_lock(tview regclass, locks integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    class CONSTANT integer := tview::oid::integer;
    wanted CONSTANT integer := cardinality(locks);
    held integer;
    lock integer;
    ignored text;
BEGIN
    IF wanted = 0 THEN
        RETURN;
    END IF;
    held := coalesce(nullif(current_setting(@{locks_setting}, true), ''), '0')::integer;
    IF wanted <= @{lock_limit} AND held <= @{lock_limit} THEN
        IF held + wanted > @{lock_limit} THEN
            -- Locks that were taken again were counted again.
            SELECT count(*) INTO held FROM pg_locks
            WHERE pid = pg_backend_pid() AND locktype = 'advisory';
        END IF;
        -- Beyond the limit it stays: a long transaction is not counted again and again.
        held := set_config(@{locks_setting}, (held + wanted)::text, true);
    END IF;
    IF locks[1] = 0 OR greatest(held, wanted) > @{lock_limit} THEN
        locks := '{0}';
    -- To try first is an expression, which costs a tenth of the statement that waits.
    ELSIF NOT pg_try_advisory_xact_lock_shared(class, 0) THEN
        PERFORM @{runtime}.django_tviews_wait(tview, 1);
    END IF;
    FOREACH lock IN ARRAY locks LOOP
        IF NOT (CASE lock & 1
            WHEN 0 THEN pg_try_advisory_xact_lock(class, lock >> 1)
            ELSE pg_try_advisory_xact_lock_shared(class, lock >> 1)
        END) THEN
            PERFORM @{runtime}.django_tviews_wait(tview, lock);
        END IF;
    END LOOP;
    ignored := @{runtime}.django_tviews_enter(tview, locks);
END
$function$;
--;;
REVOKE ALL ON @{runtime}.django_tviews_ring FROM PUBLIC;
--;;
REVOKE ALL ON FUNCTION @{runtime}.django_tviews_lock(regclass, integer[]),
    @{runtime}.django_tviews_wait(regclass, integer),
    @{runtime}.django_tviews_enter(regclass, integer[]),
    @{runtime}.django_tviews_conflicts(bigint, bigint, bigint),
    @{runtime}.django_tviews_committed(bigint),
    @{runtime}.django_tviews_exclusive(integer, bigint),
    @{runtime}.django_tviews_shared(integer, bigint) FROM PUBLIC;
