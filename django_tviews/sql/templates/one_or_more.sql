IF @{one} THEN
    @{of_one};
ELSE
    @{of_more}
END IF;
