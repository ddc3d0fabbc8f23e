"""The settings of django_tviews: the dictionary ``DJANGO_TVIEWS`` in the project's settings.

    from django_tviews.conf import settings

    settings.DEPTH_LIMIT

Values are read from Django's settings each time, so ``override_settings`` works.
``docs/reference/settings.md`` describes each one.
"""

# Settings are written in capitals wherever Django reads them.
# ruff: noqa: N802

from __future__ import annotations

import difflib
import re
from typing import Final

from django.conf import settings as django_settings

from .errors import ConfigurationError

__all__ = ["Settings", "configuration_errors", "settings"]

_DICTIONARY: Final = "DJANGO_TVIEWS"

# PostgreSQL's own notation of a time; without a unit it means milliseconds.
_TIME: Final = re.compile(r"\d+ ?(us|ms|s|min|h|d)?")

_OLDEST_POSTGRES: Final = 150000


class Settings:
    """What is in force now: the project's value of each setting, or its default.

    Raises:
        ConfigurationError: ``DJANGO_TVIEWS`` is not a dictionary, or the value of the setting
            that is read cannot be used.
    """

    @property
    def BULK_THRESHOLD(self) -> int:
        """From how many affected keys on a statement is maintained by its bulk branch."""
        return _integer("BULK_THRESHOLD", default=1000, least=1)

    @property
    def DEPTH_LIMIT(self) -> int:
        """How many TViews and helper views may be stacked on one another."""
        return _integer("DEPTH_LIMIT", default=10, least=1)

    @property
    def LOCK_RETRIES(self) -> int:
        """How often the locks for creating, altering and deleting a TView are tried again."""
        return _integer("LOCK_RETRIES", default=4, least=0)

    @property
    def LOCK_TIMEOUT(self) -> str:
        """How long creating, altering and deleting a TView wait for a lock, in PostgreSQL's words.

        ``"0"`` waits for ever.
        """
        value = _value("LOCK_TIMEOUT", default="5s")
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise _unusable("LOCK_TIMEOUT", value, 'a time such as "5s", "500ms" or "1min"')
        return value

    @property
    def POSTGRES_VERSION(self) -> int:
        """The PostgreSQL that QuerySets are compiled for, as ``server_version_num`` writes it."""
        return _integer("POSTGRES_VERSION", default=_OLDEST_POSTGRES, least=_OLDEST_POSTGRES)


settings: Final = Settings()


def configuration_errors() -> list[ConfigurationError]:
    """Return what is wrong with ``DJANGO_TVIEWS``: unknown names and values of no use.

    For the system check; reading a setting raises the same errors one at a time.

    Returns:
        One error for each setting that is wrong, none if all is well.
    """
    try:
        dictionary = _dictionary()
    except ConfigurationError as error:
        return [error]
    known = _names()
    errors = []
    for name in sorted(dictionary, key=str):
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
            errors.append(
                ConfigurationError(
                    f"{_DICTIONARY} has an unknown setting {name!r}.", hint=hint, setting=name
                )
            )
            continue
        try:
            getattr(settings, name)
        except ConfigurationError as error:
            errors.append(error)
    return errors


def _names() -> list[str]:
    return [name for name, value in vars(Settings).items() if isinstance(value, property)]


def _dictionary() -> dict[object, object]:
    dictionary = getattr(django_settings, _DICTIONARY, {})
    if not isinstance(dictionary, dict):
        raise ConfigurationError(
            f"{_DICTIONARY} is {dictionary!r}, not a dictionary.",
            hint=f'Write {_DICTIONARY} = {{"DEPTH_LIMIT": 10}}, or leave it out.',
        )
    return dictionary


def _value(name: str, default: object) -> object:
    return _dictionary().get(name, default)


def _integer(name: str, default: int, least: int) -> int:
    value = _value(name, default)
    # True is an int to Python, but nobody means 1 by it.
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _unusable(name, value, f"a whole number, {least} or more")
    return value


def _unusable(name: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(
        f'{_DICTIONARY}["{name}"] is {value!r}.', hint=f"It must be {expected}.", setting=name
    )
