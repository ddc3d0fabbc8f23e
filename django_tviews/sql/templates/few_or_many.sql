IF @{few} THEN
    @{evaluate_few};
ELSE
    @{evaluate_many};
END IF;
