SELECT count(*) AS changes, coalesce(bool_or(@{everything}), false) AS everything,
    CASE WHEN min(spool.source) = max(spool.source) THEN min(spool.source) END AS alone
