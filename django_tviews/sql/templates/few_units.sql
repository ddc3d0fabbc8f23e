(SELECT count(*) FROM (
    @{units}
    LIMIT @{bulk_threshold} + 1
) AS counted) <= @{bulk_threshold}
