"""Every error of django_tviews, and the way from a database error to it.

PostgreSQL and Python report the same condition with the same SQLSTATE: the class attribute
``sqlstate`` is what the trigger functions raise with ``USING ERRCODE``. Django wraps what the
database raises in its own exceptions; `TViewError.from_database_error` reads those, wherever they
surface (a write, a savepoint, COMMIT).

Each class has one section in ``docs/reference/errors.md``, under the anchor ``anchor``.
"""

# The names say what is the case, as PostgreSQL's condition names do; "Error" would add nothing.
# ruff: noqa: N818

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.utils import split_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "CascadeDepthExceeded",
    "CatalogError",
    "CircularDependency",
    "ColumnMismatch",
    "ConfigurationError",
    "Deadlock",
    "DependencyDepthExceeded",
    "DependencyResolutionFailed",
    "DependentColumn",
    "ExtensionMissing",
    "InvalidQuery",
    "InvalidTViewName",
    "IsolationUnsupported",
    "KeyMissing",
    "KeyNotUnique",
    "KeyNull",
    "LockTimeout",
    "MetadataNotFound",
    "OutdatedTView",
    "RefreshFailed",
    "SerializationConflict",
    "TViewAlreadyExists",
    "TViewError",
    "TViewReadOnly",
    "UnsupportedQuery",
]

FUNCTION_PREFIXES: Final = ("django_tviews_", "tviews_")
"""What the names of functions of django_tviews in the database begin with.

The shared ones have the first, those of a TView the second. PostgreSQL names the functions that
were running in the CONTEXT of an error, which is how an error that came out of the maintenance is
told from the same SQLSTATE raised by anything else.
"""


def _anchor(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", class_name.replace("TView", "Tview")).lower()


class TViewError(Exception):
    """The base of all errors of django_tviews; catch it to catch any of them.

    Args:
        message: What went wrong and where, in one sentence or two.
        hint: What to do about it.
        tview: Label of the TView concerned, e.g. ``"shop.ProductCard"``.
        **context: Facts a program can use, such as ``table`` or ``position``.
    """

    sqlstate: ClassVar[str] = "58000"
    """SQLSTATE with which the database reports the same condition."""

    anchor: ClassVar[str] = "tview-error"
    """Anchor of the section about this error in ``docs/reference/errors.md``."""

    advice: ClassVar[str] = ""
    """Hint for errors that PostgreSQL raises by itself and sends without one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.anchor = _anchor(cls.__name__)

    def __init__(
        self, message: str, *, hint: str = "", tview: str | None = None, **context: object
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.tview = tview
        self.context: dict[str, object] = context

    def __str__(self) -> str:
        return f"{self.message}\nHINT: {self.hint}" if self.hint else self.message

    @staticmethod
    def from_database_error(
        exc: BaseException, *, altering: bool = False, tview: str | None = None
    ) -> TViewError | None:
        """Return the error of django_tviews that a database exception stands for.

        Follows ``__cause__`` from Django's exception to the driver's and reads the fields that
        PostgreSQL sent. Works for errors of a statement and of COMMIT alike, and for an exception
        that already is a `TViewError`, which is returned unchanged.

        Deadlocks, serialization failures and lock timeouts are recognised whoever caused them,
        because the answer is the same: try again. Everything else is recognised only if it came
        out of a function of django_tviews; a unique violation on a table of yours is not ours.

        Args:
            exc: What was caught, usually a ``django.db.Error``.
            altering: the statement altered a TView, so that what it met is ours as well.
            tview: label of the TView that was being built, if one was. What PostgreSQL does not
                find or cannot assign is its query's then, and the message names it.

        Returns:
            The error, with ``exc`` as its ``__cause__``; or None if ``exc`` has
            nothing to do with a TView. ``context`` holds those of ``sqlstate``, ``schema``,
            ``table``, ``column``, ``constraint``, ``detail`` and ``where`` that PostgreSQL sent.
            After a deadlock or a timeout over a lock on a TView, ``lock`` has the OID of its table
            and the number of the lock that was waited for.
        """
        for link in _causes(exc):
            if isinstance(link, TViewError):
                return link
            if (diagnostics := _Diagnostics.of(link)) is not None:
                error = _known(diagnostics, str(link), altering=altering, tview=tview)
                if error is not None:
                    error.__cause__ = exc
                return error
        return None


# Declaring


class ConfigurationError(TViewError, ImproperlyConfigured):
    """A setting, or an option of a TView class, is unknown or has a value that cannot be used.

    Raised while the project is loading or when the setting is first needed. It is also an
    ``ImproperlyConfigured``, so Django's own commands report it without a traceback.
    """

    sqlstate = "F0000"


class InvalidTViewName(TViewError):
    """The name of a TView's table or column cannot be a PostgreSQL name.

    Names have 1 to 63 bytes and no zero byte. Two TViews whose long names shorten to the same
    object name are reported in the same way.
    """

    sqlstate = "42602"


class InvalidQuery(TViewError):
    """The query is not one SELECT that PostgreSQL understands.

    The text does not parse, holds no statement or several, or is not a SELECT. The context has
    the ``position`` in the text where PostgreSQL's parser gave up. It is raised, too, for text
    that is given to be analyzed, if it does not parse or could not be taken back.
    """

    sqlstate = "42601"


class UnsupportedQuery(TViewError):
    """The query is valid SQL, but a table cannot be kept equal to it.

    The context names the ``construct`` and its ``position`` in the query; the hint says what to
    write instead. A query is refused when the migration is made or applied, never at a write.
    """

    sqlstate = "0A000"


class KeyMissing(TViewError):
    """The query has no output column for a column of the key.

    The key is the primary key of the model. Each of its columns must be an output column of the
    query, because that is how a changed row finds the rows of the TView it affects.
    """

    sqlstate = "42703"


class KeyNotUnique(TViewError):
    """The query gave two rows for one key, or for another unique constraint of the TView.

    The statement that led to it is rolled back. The key is reported with 21000, another constraint
    with 23505; the key, too, when the TView is created.
    """

    sqlstate = "21000"
    advice = (
        "Group the query by the key, or add the columns that tell the rows apart to the key. "
        "A unique constraint besides the key must be deferrable."
    )


class KeyNull(TViewError):
    """The query gave NULL for a column of the key, or for another column declared NOT NULL.

    The statement that led to it is rolled back. A column may be declared ``null=False`` only if
    the query cannot give NULL for it in any state of its sources.
    """

    sqlstate = "23502"
    advice = "Exclude such rows in the query, use COALESCE, or declare the field null=True."


class ColumnMismatch(TViewError):
    """The fields of the model and the output columns of the query do not match.

    A field has no output column, an output column has no field, or PostgreSQL cannot assign the
    type of the one to the type of the other.
    """

    sqlstate = "42804"


# Dependencies


class CircularDependency(TViewError):
    """TViews read each other in a circle, so no order exists in which to keep them.

    The message spells the circle, ``shop.A → shop.B → shop.A``; the context has it as ``path``.
    """

    sqlstate = "42P19"


class DependencyDepthExceeded(TViewError):
    """More TViews and helper views are stacked on one another than ``DEPTH_LIMIT`` allows.

    Found when the dependencies are read: by the checks, when a migration is applied, and by
    ``tview_graph``.
    """

    sqlstate = "54001"


class CascadeDepthExceeded(TViewError):
    """One statement set off more rounds of maintenance, each from the one before, than allowed.

    Found at a write. TViews that read TViews are kept in one pass; rounds only add up when
    triggers of the project write to a source again each time a TView changes.
    """

    sqlstate = "54001"
    advice = "Look for a trigger on a TView or its sources that writes to a source each time."


class DependencyResolutionFailed(TViewError):
    """A table, view or column that the query names does not exist where it is needed.

    Usually the migration that creates it has not been applied to this database, or a router sends
    it to another one.
    """

    sqlstate = "42P01"
    advice = "Check the name, and that the migration that creates it comes first."


class DependentColumn(TViewError):
    """A change to a source would take away or retype a column that a TView reads.

    The message names the column and every TView that reads it. Nothing was changed.
    """

    sqlstate = "2BP01"
    advice = "Change or drop first what needs it, in the same migration or an earlier one."


# Installed TViews


class MetadataNotFound(TViewError):
    """No TView of that name is declared in the project, or installed in the database.

    The hint lists the names that come close.
    """

    sqlstate = "42704"

    @classmethod
    def near(cls, message: str, name: str, known: Iterable[str]) -> MetadataNotFound:
        """Make the error for a name that is not known, with the known ones that come close.

        Args:
            message: what is not there.
            name: the name that was given.
            known: the names there are.
        """
        by_lower = {candidate.lower(): candidate for candidate in sorted(known)}
        near = [
            by_lower[match]
            for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.8)
        ]
        hint = f"Did you mean {' or '.join(near)}?" if near else "tview_graph prints all there are."
        return cls(message, hint=hint, name=name, near=tuple(near))


class TViewAlreadyExists(TViewError):
    """A TView, or another object with the name that one of its objects needs, is there already.

    Nothing was created.
    """

    sqlstate = "42710"


class OutdatedTView(TViewError):
    """What is installed in the database is not what this version of the project expects.

    The definition, the format of the generated functions or the set of partitions has moved on.
    Nothing is written rather than something wrong.
    """

    sqlstate = "55000"


class TViewReadOnly(TViewError):
    """Something other than the maintenance tried to write to a TView.

    Raised by the model's methods in Python and by a trigger on the table for SQL. Write to the
    sources instead.
    """

    sqlstate = "42809"


class RefreshFailed(TViewError):
    """The query or the table could not take a value while the TView was brought up to date.

    The cause is chained: a division by zero in the query, a text too long for its column, a check
    constraint, a trigger of the project on the TView. The statement that led to it is rolled
    back, so the TView still equals its query. The context has the database's own ``sqlstate``.
    """

    sqlstate = "58000"
    advice = (
        "Make the query give a value for every row of its sources (NULLIF against division by "
        "zero), or widen the column."
    )


# Concurrency


class LockTimeout(TViewError):
    """A lock was not granted within ``lock_timeout``.

    Creating and altering a TView waits at most the setting ``LOCK_TIMEOUT`` for the writers of
    its sources; ordinary writes use the session's own ``lock_timeout``. Nothing was changed.
    """

    sqlstate = "55P03"
    advice = (
        "Run it again when fewer transactions are writing, or raise the timeout. "
        "tview_check --locks says who has the lock."
    )


class Deadlock(TViewError):
    """PostgreSQL ended this transaction because it and another one waited for each other.

    The transaction is rolled back; the TView equals its query.
    """

    sqlstate = "40P01"
    advice = "Run the whole transaction again."


class SerializationConflict(TViewError):
    """A transaction at REPEATABLE READ or SERIALIZABLE met a change made after it began.

    Such a transaction cannot see that change, so it must not bring rows up to date from what it
    sees. It is rolled back; the TView equals its query.
    """

    sqlstate = "40001"
    advice = "Run the whole transaction again."


class IsolationUnsupported(TViewError):
    """A TView was to be created or altered in a transaction above READ COMMITTED.

    The fill would read a snapshot older than the triggers and miss what others committed between.
    """

    sqlstate = "25001"


# Extensions, and what should not happen


class ExtensionMissing(TViewError):
    """The query or a column needs a PostgreSQL extension that is not installed.

    django_tviews itself needs none.
    """

    sqlstate = "58P01"


class CatalogError(TViewError):
    """The catalog or the registry holds something django_tviews did not put there.

    It is a bug, here or in something that edits catalogs by hand. The message says what to
    report.
    """

    sqlstate = "XX000"


# From the database

_ANYBODYS: Final[dict[str, type[TViewError]]] = {
    error.sqlstate: error for error in (Deadlock, SerializationConflict, LockTimeout)
}

_RAISED_BY_OUR_FUNCTIONS: Final[dict[str, type[TViewError]]] = {
    error.sqlstate: error
    for error in (
        CascadeDepthExceeded,
        CatalogError,
        DependencyResolutionFailed,
        DependentColumn,
        ExtensionMissing,
        IsolationUnsupported,
        KeyNotUnique,
        KeyNull,
        MetadataNotFound,
        OutdatedTView,
        RefreshFailed,
        TViewAlreadyExists,
        TViewReadOnly,
        UnsupportedQuery,
    )
}

_MET_IN_OUR_FUNCTIONS: Final[dict[str, type[TViewError]]] = {
    "23502": KeyNull,
    "23505": KeyNotUnique,
}

_MET_WHEN_ALTERING: Final[dict[str, type[TViewError]]] = {
    **_MET_IN_OUR_FUNCTIONS,
    "23514": RefreshFailed,
    "23P01": RefreshFailed,
    "2BP01": DependentColumn,
    # PostgreSQL retypes no column that a view or a policy reads.
    "0A000": DependentColumn,
}

_MET_WHEN_BUILDING: Final[dict[str, type[TViewError]]] = {
    "42804": ColumnMismatch,
    "42P01": DependencyResolutionFailed,
    "42703": DependencyResolutionFailed,
}

# A place in PostgreSQL's source, sent in the field "routine"; unlike a message never translated.
_RAISE_STATEMENT: Final = "exec_stmt_raise"

_OUR_FUNCTION: Final = re.compile(rf'[\s."](?:{"|".join(FUNCTION_PREFIXES)})')


# Of two processes that wait for each other, the one that was ended is told of first. Whatever the
# language, a lock by two numbers stands so: [database,16412,18,2].
_LOCK: Final = re.compile(r"\A[^\n\[]*\[\d+,(?P<tview>\d+),(?P<number>\d+),2\]")

_FUNCTION_OF_TVIEW: Final = re.compile(rf'[\s."]{FUNCTION_PREFIXES[1]}(?P<rest>[^"(]+)"?\(')


def _causes(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


@dataclass(frozen=True)
class _Diagnostics:
    """What PostgreSQL sent with an error; empty is what it did not send.

    Attributes:
        where: what was running, the innermost first: PostgreSQL's field CONTEXT.
        routine: the function in PostgreSQL's own source that reported it.
    """

    sqlstate: str
    message: str
    hint: str
    schema: str
    table: str
    column: str
    constraint: str
    detail: str
    where: str
    routine: str

    @classmethod
    def of(cls, exc: BaseException) -> _Diagnostics | None:
        """Read those of an exception of the driver; any other has none.

        A connection that broke has a SQLSTATE of its class but no fields.
        """
        sent = getattr(exc, "diag", None)
        sqlstate = getattr(sent, "sqlstate", None) or getattr(exc, "sqlstate", None)
        if sqlstate is None:
            return None
        return cls(
            sqlstate,
            getattr(sent, "message_primary", None) or "",
            getattr(sent, "message_hint", None) or "",
            getattr(sent, "schema_name", None) or "",
            getattr(sent, "table_name", None) or "",
            getattr(sent, "column_name", None) or "",
            getattr(sent, "constraint_name", None) or "",
            getattr(sent, "message_detail", None) or "",
            getattr(sent, "context", None) or "",
            getattr(sent, "source_function", None) or "",
        )

    @property
    def functions(self) -> list[str]:
        """The lines about the functions in PL/pgSQL that were running, the innermost first."""
        # The words around the signature are translated with lc_messages; "PL/pgSQL" is not.
        return [line for line in self.where.splitlines() if "PL/pgSQL" in line]

    def context(self) -> dict[str, object]:
        """Return what a `TViewError` has of it for programs."""
        told = asdict(self)
        for name in ("message", "hint", "routine"):
            del told[name]
        context: dict[str, object] = {name: value for name, value in told.items() if value}
        if lock := _LOCK.search(self.detail):
            context["lock"] = (int(lock["tview"]), int(lock["number"]))
        return context


def _known(
    diagnostics: _Diagnostics, text: str, *, altering: bool, tview: str | None
) -> TViewError | None:
    """Return the error that PostgreSQL has reported, if it is one of ours.

    Args:
        diagnostics: what PostgreSQL sent.
        text: of the driver's exception.
        altering: the statement altered a TView.
        tview: label of the TView that was being built, if one was.
    """
    error_class, hint = _class_of(diagnostics), diagnostics.hint
    if error_class is None and altering:
        error_class = _MET_WHEN_ALTERING.get(diagnostics.sqlstate)
        # PostgreSQL would have it done with CASCADE.
        hint = ""
    if tview and error_class in (None, RefreshFailed):
        error_class = _MET_WHEN_BUILDING.get(diagnostics.sqlstate, error_class)
    if error_class is None:
        return None
    message = _message(diagnostics, error_class) or text
    return error_class(
        f"{tview}: {message}" if tview else message,
        hint=hint or error_class.advice,
        tview=tview or _label(diagnostics),
        **diagnostics.context(),
    )


def _message(diagnostics: _Diagnostics, error_class: type[TViewError]) -> str:
    # Only the detail says what it is that depends, or which key it is.
    if diagnostics.detail and error_class in (DependentColumn, KeyNotUnique):
        return f"{diagnostics.message}: {diagnostics.detail}"
    return diagnostics.message


def _class_of(diagnostics: _Diagnostics) -> type[TViewError] | None:
    sqlstate, functions = diagnostics.sqlstate, diagnostics.functions
    if sqlstate in _ANYBODYS:
        return _ANYBODYS[sqlstate]
    if not any(_OUR_FUNCTION.search(line) for line in functions):
        return None
    if diagnostics.routine == _RAISE_STATEMENT:
        # A trigger of the project on the TView runs inside the maintenance and may raise, too.
        ours = _OUR_FUNCTION.search(functions[0]) is not None
        return _RAISED_BY_OUR_FUNCTIONS.get(sqlstate, RefreshFailed) if ours else RefreshFailed
    return _MET_IN_OUR_FUNCTIONS.get(sqlstate, RefreshFailed)


def _label(diagnostics: _Diagnostics) -> str | None:
    """Return the label of the TView that an error is about.

    That is the one whose table is named, else the one whose function was running, the innermost if
    several were.
    """
    if not apps.models_ready:
        return None
    labels = {
        split_identifier(model._meta.db_table)[1]: model._meta.label
        for model in apps.get_models()
        if hasattr(model, "_maintenance")
    }
    if diagnostics.table in labels:
        return labels[diagnostics.table]
    for found in filter(None, map(_FUNCTION_OF_TVIEW.search, diagnostics.functions)):
        tables = [table for table in labels if found["rest"].startswith(f"{table}_")]
        if tables:
            return labels[max(tables, key=len)]
    return None
