-- Many: planned afresh for their true number.
EXECUTE $bulk$
@{fold}
$bulk$ INTO @{key_variables}
