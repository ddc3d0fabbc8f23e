-- Many changes: planned afresh with their true number.
EXECUTE $bulk$
@{routes}
$bulk$ INTO @{key_variables}, wanted
