IF @{few} THEN
    @{of_few};
ELSE
    @{of_many};
END IF;
