SELECT @{arrays},
    coalesce(@{locks}, '{}'),
    sum(affected."changes?"),
    coalesce(bool_or(affected."everything?"), false),
    CASE WHEN min(affected."first?") = max(affected."last?") THEN min(affected."first?") END
INTO @{variables}, wanted, changes, everything, alone
FROM (
    SELECT @{keys},
        -- At least as many as there are.
        count(*) AS "changes?",
        bool_or(spool.source = 0 AND spool.image IS NULL) AS "everything?",
        min(spool.source) AS "first?", max(spool.source) AS "last?"
    FROM @{runtime}.django_tviews_spool AS spool
    @{images}
    CROSS JOIN LATERAL (
        @{branches}
    ) AS found (@{names})
    WHERE spool.transaction_id = pg_current_xact_id() AND spool.tview = @{tview}
    GROUP BY @{keys}
) AS affected;
