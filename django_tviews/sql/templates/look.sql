-- Find the keys, lock them and the places that were looked at, and look again if others have
-- committed meanwhile; until that finds nothing more.
DECLARE
    seen text;
BEGIN
    LOOP
        BEGIN
            IF held <> '{}' THEN
                ignored := @{runtime}.django_tviews_lock(@{tview}, held);
            END IF;
            -- Whoever would look again in this snapshot would see the same.
            EXIT WHEN seen = pg_current_snapshot()::text;
            seen := pg_current_snapshot();
            @{keys}
            -- Equal arrays are compared first, since <@ compares each lock with all others.
            EXIT WHEN held = '{0}' OR wanted = held OR wanted <@ held;
            IF held <> '{}' THEN
                RAISE SQLSTATE 'TV001';
            END IF;
            held := wanted;
        EXCEPTION WHEN SQLSTATE 'TV001' THEN
            -- The locks of this block are released, to be taken again in ascending order.
            held := ARRAY(SELECT DISTINCT lock FROM unnest(held || wanted) AS lock ORDER BY lock);
        END;
        -- So many locks would become one on the whole TView.
        IF cardinality(held) > @{lock_limit} THEN
            held := '{0}';
        END IF;
    END LOOP;
END;
