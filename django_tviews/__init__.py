"""Django models whose PostgreSQL table the database itself keeps equal to a query.

The public names are imported when they are first used: models cannot be imported before Django's
app registry is ready, and the SQL parser is not wanted while requests are served.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import TViewError
    from .explanation import explain
    from .health import check
    from .maintenance import apply_pending, refresh, verify
    from .models import TView, TViewManager, TViewQuerySet
    from .query import SQLFile
    from .synchronization import sync

__version__ = "0.1.0"

_HOMES = {
    "SQLFile": "query",
    "TView": "models",
    "TViewError": "errors",
    "TViewManager": "models",
    "TViewQuerySet": "models",
    "apply_pending": "maintenance",
    "check": "health",
    "explain": "explanation",
    "refresh": "maintenance",
    "sync": "synchronization",
    "verify": "maintenance",
}

__all__ = [
    "SQLFile",
    "TView",
    "TViewError",
    "TViewManager",
    "TViewQuerySet",
    "apply_pending",
    "check",
    "explain",
    "refresh",
    "sync",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
