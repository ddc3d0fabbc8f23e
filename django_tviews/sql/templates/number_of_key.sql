CASE WHEN fresh.@{present} THEN row_number() OVER (PARTITION BY @{affected_columns}) END
