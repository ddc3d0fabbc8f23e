"""Django's database settings for a connection URL."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict


def database_settings(url: str) -> dict[str, object]:
    """One entry of Django's ``DATABASES`` for a server.

    Args:
        url: Anything libpq takes: ``postgresql://user@host/name`` or ``host=... dbname=...``.

    Returns:
        The entry; parameters Django has no name for are its ``OPTIONS``.
    """
    parameters = dict(conninfo_to_dict(url))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parameters.pop("dbname", None) or "postgres",
        "USER": parameters.pop("user", None) or "",
        "PASSWORD": parameters.pop("password", None) or "",
        "HOST": parameters.pop("host", None) or "",
        "PORT": parameters.pop("port", None) or "",
        "OPTIONS": parameters,
    }
