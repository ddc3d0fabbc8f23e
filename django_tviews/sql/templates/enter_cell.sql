writer := pg_sequence_last_value(of_writer);
IF writer >= own THEN
    IF writer = own THEN
        entry := entry | pg_sequence_last_value(of_entry);
    ELSIF @{runtime}.django_tviews_committed(writer) IS NULL THEN
        writer := NULL;
    END IF;
END IF;
-- A later writer's entry stays: whom it concerns knows that there may have been another.
IF coalesce(writer, 0) <= own THEN
    -- In this order.
    entry := CASE WHEN setval(of_writer, own) = own THEN setval(of_entry, entry) END;
END IF;
