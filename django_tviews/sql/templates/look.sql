-- Find the keys, lock them and the places that were looked at, and look again, since others may
-- have committed meanwhile; until that finds nothing more.
LOOP
    BEGIN
        PERFORM @{runtime}.django_tviews_lock(@{tview}, held);
        @{keys}
        EXIT WHEN wanted <@ held;
        IF held <> '{}' THEN
            RAISE SQLSTATE 'TV001';
        END IF;
        held := wanted;
    EXCEPTION WHEN SQLSTATE 'TV001' THEN
        -- The locks of this block are released, to be taken again in ascending order.
        held := ARRAY(SELECT DISTINCT lock FROM unnest(held || wanted) AS lock ORDER BY lock);
    END;
END LOOP;
