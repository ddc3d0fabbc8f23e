@{number_of_keys} <= @{bulk_threshold}
    OR @{number_of_keys} <= least(pg_stat_get_live_tuples(@{tview}) / 10, 100 * @{bulk_threshold})
