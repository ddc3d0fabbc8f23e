"""Which functions a kept query may call.

A result may depend on nothing but the rows read and the pinned settings of the maintenance
environment. IMMUTABLE functions do by their own word. Of PostgreSQL's STABLE functions those
below do, because what they depend on (TimeZone, DateStyle and the like) is pinned. VOLATILE
functions never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.facts import Volatility
from django_tviews.text import words

if TYPE_CHECKING:
    from collections.abc import Mapping

# STABLE in pg_catalog (some only in one overload), with a result that the maintenance
# environment determines.
STABLE_BUT_PINNED = words(
    """
    age anytextcat array_agg array_to_json array_to_string avg concat concat_ws convert
    convert_from convert_to date date_add date_part date_subtract date_trunc extract format
    generate_series interval interval_pl_timestamptz json_agg json_agg_strict
    json_build_array json_build_object json_object_agg json_object_agg_strict
    json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict
    jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_object_agg_strict
    jsonb_object_agg_unique jsonb_object_agg_unique_strict length make_timestamptz money
    numeric overlaps phraseto_tsquery plainto_tsquery quote_literal quote_nullable
    row_to_json sum textanycat time timestamp timestamptz timestamptz_mi_interval
    timestamptz_pl_interval timetz timezone to_char to_date to_json to_jsonb to_number
    to_timestamp to_tsquery to_tsvector websearch_to_tsquery
    """
) | frozenset(
    # Comparisons across the types with and without time zone.
    f"{left}_{comparison}_{right}"
    for left, right in (
        ("date", "timestamptz"),
        ("timestamptz", "date"),
        ("timestamp", "timestamptz"),
        ("timestamptz", "timestamp"),
    )
    for comparison in ("eq", "ne", "lt", "le", "gt", "ge", "cmp")
)

# Operators that compare two values.
COMPARISONS = frozenset({"=", "<>", "<", ">", "<=", ">="})

# Known without asking a server, so that makemigrations and check can refuse them.
TIME_DEPENDENT = words(
    """
    clock_timestamp current_query now statement_timestamp timeofday transaction_timestamp
    txid_current
    """
)
VOLATILE = words(
    """
    array_sample array_shuffle currval gen_random_uuid lastval nextval pg_sleep random
    random_normal set_config setval uuid_generate_v1 uuid_generate_v4 uuidv4 uuidv7
    """
)

# With fewer arguments than this the function reads the clock or an unpinned setting.
LEAST_ARGUMENTS = {
    "age": 2,
    "phraseto_tsquery": 2,
    "plainto_tsquery": 2,
    "to_tsquery": 2,
    "to_tsvector": 2,
    "websearch_to_tsquery": 2,
}

AGGREGATES = words(
    """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop
    covar_samp cume_dist dense_rank every json_agg json_agg_strict json_object_agg
    json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg
    jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
    jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont percentile_disc
    range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum
    var_pop var_samp variance xmlagg
    """
)

# Their result depends on the order in which they meet the rows.
ORDER_SENSITIVE_AGGREGATES = words(
    """
    any_value array_agg json_agg json_agg_strict json_object_agg json_object_agg_strict
    json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict
    jsonb_object_agg jsonb_object_agg_strict string_agg xmlagg
    """
)

# One of the values that they meet.
PICKING_AGGREGATES = words(
    """
    any_value max min mode percentile_cont percentile_disc
    """
)

# Of arguments that are equal, however they look, they make results that are equal.
RESPECTING_EQUALITY = words(
    """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or count every first_value
    lag last_value lead max min mode nth_value percentile_disc range_agg
    range_intersect_agg stddev stddev_pop stddev_samp sum var_pop var_samp variance
    """
)

# Rows that are tied in the order of the window have the same value.
RANKING_WINDOW_FUNCTIONS = words(
    """
    cume_dist dense_rank percent_rank rank
    """
)

# The value of a row depends on its place among those it is tied with, whatever the frame is.
NUMBERING_WINDOW_FUNCTIONS = words(
    """
    lag lead ntile row_number
    """
)

# They show a value of one row of the frame.
PICKING_WINDOW_FUNCTIONS = words(
    """
    first_value last_value nth_value
    """
)

# Never NULL, whatever the frame is.
NEVER_NULL_OVER_WINDOWS = words(
    """
    count cume_dist dense_rank percent_rank rank row_number
    """
)


@dataclass(frozen=True)
class Column:
    """A column of what a function returns.

    Attributes:
        name: as the function names it; empty if it has the name of the FROM item.
        type: its type, where that does not depend on the arguments.
        not_null: it is never NULL.
        deterministic: equal values look the same, as far as that depends on their collation.
    """

    name: str
    type: str = ""
    not_null: bool = False
    deterministic: bool = True


# PostgreSQL's own functions that give rows, and none if their first argument is NULL, with their
# columns. Those that are only STABLE are refused before anybody asks for their columns.
SET_RETURNING: Mapping[str, tuple[Column, ...]] = {
    "generate_series": (Column("", not_null=True),),
    "generate_subscripts": (Column("", "integer", not_null=True),),
    "json_array_elements": (Column("value", "json", not_null=True),),
    "json_array_elements_text": (Column("value", "text"),),
    "json_each": (Column("key", "text", not_null=True), Column("value", "json", not_null=True)),
    "json_each_text": (Column("key", "text", not_null=True), Column("value", "text")),
    "json_object_keys": (Column("", "text", not_null=True),),
    "jsonb_array_elements": (Column("value", "jsonb", not_null=True),),
    "jsonb_array_elements_text": (Column("value", "text"),),
    "jsonb_each": (Column("key", "text", not_null=True), Column("value", "jsonb", not_null=True)),
    "jsonb_each_text": (Column("key", "text", not_null=True), Column("value", "text")),
    "jsonb_object_keys": (Column("", "text", not_null=True),),
    "jsonb_path_query": (Column("", "jsonb", not_null=True),),
    "regexp_matches": (Column("", "text[]", not_null=True),),
    "regexp_split_to_table": (Column("", "text", not_null=True),),
    "string_to_table": (Column("", "text", not_null=True),),
    "unnest": (Column(""),),
}

# Not NULL when none of their arguments is.
NEVER_NULL_FROM_VALUES = words(
    """
    abs btrim cardinality ceil ceiling char_length character_length date_trunc floor left
    length lower lpad ltrim md5 octet_length replace reverse right round rpad rtrim sign
    substr timezone to_json to_jsonb trunc upper
    """
)

# NULL if any of their arguments is, in each of their forms.
STRICT = NEVER_NULL_FROM_VALUES | words(
    """
    age date_part extract initcap make_date mod position power split_part sqrt strpos substring
    """
)

# Not all of their forms give NULL if an operand is NULL; all other operators do.
NOT_STRICT_OPERATORS = frozenset({"||"})

# Not NULL whatever their arguments are.
NEVER_NULL = words(
    """
    concat json_build_array json_build_object jsonb_build_array jsonb_build_object
    num_nonnulls num_nulls
    """
)

# Not NULL over at least one row, of values that are not NULL.
AGGREGATES_KEEPING_NOT_NULL = words(
    """
    any_value avg bit_and bit_or bool_and bool_or every max min string_agg sum
    """
)

# Not NULL over at least one row, whatever its values.
AGGREGATES_OF_ROWS = words(
    """
    array_agg json_agg json_object_agg jsonb_agg jsonb_object_agg
    """
)

OPERATORS_KEEPING_NOT_NULL = words(
    """
    !~~ !~~* % * + - / < <= <> = > >= || ~~ ~~*
    """
)


def may_be_called(schema: str | None, name: str, volatility: Volatility) -> bool:
    """Tell whether a function's result depends on nothing but its arguments and pinned settings.

    Args:
        schema: its schema; None where the query leaves it open.
        name: its name.
        volatility: what PostgreSQL knows of it.
    """
    if volatility is Volatility.STABLE:
        return schema in (None, "pg_catalog") and name in STABLE_BUT_PINNED
    return volatility is Volatility.IMMUTABLE
