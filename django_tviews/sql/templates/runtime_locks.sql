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
-- its transaction number modulo @{cells}, and has an advisory lock that the writer keeps. Who finds
-- that somebody else has it enters the spare cell instead, which comes after all others.
-- One sequence of a cell holds the number, the other a bit for each class of slots: the lower
-- @{bits} for exclusive locks, the next @{bits} for shared ones.
-- A crash empties the ring; of those who were writing then, only prepared transactions go on, and
-- an empty cell counts as one that a later writer has replaced.
-- A cell that somebody has dropped is made again by the same statement.
DO $ring$
DECLARE
    name text;
    sequence text;
BEGIN
    FOR cell IN 0..@{cells} LOOP
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
-- What the ring's cells hold. The entry is read before the number, and written after it: so it is
-- never taken for that of an older writer which it has replaced.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_cells()
RETURNS TABLE (cell integer, entry bigint, writer bigint)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $function$
SELECT cell, pg_sequence_last_value(entries[cell]), pg_sequence_last_value(writers[cell])
FROM (VALUES (@{writer_sequences}, @{entry_sequences})) AS ring (writers, entries),
     generate_series(1, @{cells} + 1) AS cell
$function$;
--;;
CREATE VIEW @{runtime}.django_tviews_ring AS
    SELECT cell, writer, entry FROM @{runtime}.django_tviews_cells();
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
WITH ring AS MATERIALIZED (
    SELECT * FROM @{runtime}.django_tviews_cells()
),
unseen AS MATERIALIZED (
    SELECT ring.writer, ring.entry, @{runtime}.django_tviews_committed(ring.writer) AS committed
    FROM ring
    WHERE ring.writer <> own
      AND NOT pg_visible_in_snapshot(ring.writer::text::xid8, pg_current_snapshot())
),
replaced AS (
    SELECT running.id
    FROM pg_snapshot_xip(pg_current_snapshot()) AS snapshot (id),
         LATERAL (SELECT snapshot.id::text::bigint) AS running (id)
    JOIN ring ON ring.cell IN (running.id % @{cells} + 1, @{cells} + 1)
    WHERE ring.writer IS NULL
       OR ring.writer > running.id AND @{runtime}.django_tviews_committed(ring.writer) IS NOT NULL
    UNION ALL
    SELECT later.id
    FROM ring,
         LATERAL (SELECT CASE WHEN ring.cell <= @{cells} THEN @{cells} ELSE 1 END) AS one_of (numbers),
         generate_series(
            ring.writer - one_of.numbers,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
            -one_of.numbers) AS later (id)
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
-- Enter locks into the spare cell, one writer after the other.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_enter_spare(own bigint, entry bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    cell CONSTANT integer := @{cells} + 1;
    of_writer CONSTANT regclass := (@{writer_sequences})[cell];
    of_entry CONSTANT regclass := (@{entry_sequences})[cell];
    writer bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(@{lock_class}, cell);
    @{enter_cell}
    -- Gives up the lock; what setval has done stays.
    RAISE SQLSTATE 'TV002';
EXCEPTION WHEN SQLSTATE 'TV002' THEN
    NULL;
END
$function$;
--;;
-- Enter locks into the ring. It has no search path of its own, as django_tviews_lock has none.
-- Each expression is prepared anew in each transaction, so there are as few as can be.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_enter(tview regclass, locks integer[]) RETURNS void
LANGUAGE plpgsql AS $function$
DECLARE
    own CONSTANT bigint := pg_current_xact_id()::text::bigint;
    cell CONSTANT integer := own % @{cells} + 1;
    of_writer CONSTANT regclass := (@{writer_sequences})[cell];
    of_entry CONSTANT regclass := (@{entry_sequences})[cell];
    entry bigint := 0;
    writer bigint;
    lock integer;
    conflict boolean;
    ignored text;
BEGIN
    FOREACH lock IN ARRAY locks LOOP
        entry := entry | CASE
            WHEN lock = 0 THEN (1::bigint << 2 * @{bits}) - 1
            ELSE 1::bigint << ((lock >> 1) - 1) % @{slots} % @{bits} + (lock & 1) * @{bits}
        END;
    END LOOP;
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        conflict := @{runtime}.django_tviews_conflicts(
            own, entry & (1::bigint << @{bits}) - 1, entry >> @{bits});
        IF pg_sequence_last_value((@{writer_sequences})[@{cells} + 1]) IS NULL THEN
            -- After a crash few may ever enter it, and to find it empty is to fear a conflict.
            ignored := @{runtime}.django_tviews_enter_spare(own, entry);
        END IF;
        IF conflict THEN
            RAISE EXCEPTION 'could not serialize access to TView % due to concurrent update', tview
                USING ERRCODE = '40001',
                      SCHEMA = (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = tview),
                      TABLE = (SELECT relname::text FROM pg_class WHERE oid = tview),
                      HINT = 'Retry the transaction.';
        END IF;
    END IF;
    IF pg_try_advisory_xact_lock(@{lock_class}, cell) THEN
        @{enter_cell}
    ELSE
        ignored := @{runtime}.django_tviews_enter_spare(own, entry);
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
-- It has no search path of its own, which every writer would pay for: the functions of a TView have
-- set one before they call this, and migrations call it by themselves.
CREATE OR REPLACE FUNCTION @{runtime}.django_tviews_lock(tview regclass, locks integer[]) RETURNS void
LANGUAGE plpgsql AS $function$
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
    @{runtime}.django_tviews_enter_spare(bigint, bigint), @{runtime}.django_tviews_cells(),
    @{runtime}.django_tviews_conflicts(bigint, bigint, bigint),
    @{runtime}.django_tviews_committed(bigint),
    @{runtime}.django_tviews_exclusive(integer, bigint),
    @{runtime}.django_tviews_shared(integer, bigint) FROM PUBLIC;
