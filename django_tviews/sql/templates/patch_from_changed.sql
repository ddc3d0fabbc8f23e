-- Only these columns can have changed, and the changed rows show what to.
IF @{few_keys} THEN
    @{patch_of_few};
ELSIF @{first_key_variable} IS NOT NULL THEN
    EXECUTE $bulk$
    @{patch}
    $bulk$;
END IF;
