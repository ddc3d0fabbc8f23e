from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from django_tviews.conf import Settings, configuration_errors, settings
from django_tviews.errors import ConfigurationError

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"

NAMES = sorted(name for name, value in vars(Settings).items() if isinstance(value, property))


@override_settings(DJANGO_TVIEWS={})
def test_the_defaults_are_the_documented_ones() -> None:
    documented = re.findall(
        r"^\| \[`(\w+)`\]\(#[\w-]+\) \| `(\w+)` \| `(.+)` \|$", REFERENCE.read_text(), re.MULTILINE
    )
    actual = [(name, getattr(settings, name)) for name in NAMES]
    assert documented == [
        (name, type(value).__name__, f'"{value}"' if isinstance(value, str) else str(value))
        for name, value in actual
    ]


def test_every_setting_has_one_section_with_its_anchor_and_no_other_section_exists() -> None:
    sections = re.findall(r'^<a id="([\w-]+)"></a>\n## (.+)$', REFERENCE.read_text(), re.MULTILINE)
    assert sections == [(name.lower().replace("_", "-"), name) for name in NAMES]


def test_values_follow_override_settings() -> None:
    with override_settings(DJANGO_TVIEWS={"DEPTH_LIMIT": 3, "LOCK_TIMEOUT": "500ms"}):
        assert settings.DEPTH_LIMIT == 3
        assert settings.LOCK_TIMEOUT == "500ms"
        assert settings.BULK_THRESHOLD == 1000
    with override_settings(DJANGO_TVIEWS={"DEPTH_LIMIT": 4, "POSTGRES_VERSION": 160000}):
        assert settings.DEPTH_LIMIT == 4
        assert settings.POSTGRES_VERSION == 160000


@pytest.mark.parametrize("value", ["0", "10", "5s", "5 s", "100us", "500ms", "1min", "2h", "1d"])
def test_lock_timeout_accepts_the_times_postgresql_accepts(value: str) -> None:
    with override_settings(DJANGO_TVIEWS={"LOCK_TIMEOUT": value}):
        assert value == settings.LOCK_TIMEOUT
        assert configuration_errors() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BULK_THRESHOLD", 0),
        ("DEPTH_LIMIT", "10"),
        ("DEPTH_LIMIT", True),
        ("LOCK_TIMEOUT", 5000),
        ("LOCK_TIMEOUT", "five seconds"),
        ("LOCK_TIMEOUT", "5s; DROP TABLE shop_product"),
        ("POSTGRES_VERSION", 15),
    ],
)
def test_a_value_of_no_use_is_refused_with_the_name_and_what_is_expected(
    name: str, value: object
) -> None:
    with override_settings(DJANGO_TVIEWS={name: value}):
        with pytest.raises(ConfigurationError, match=f'DJANGO_TVIEWS\\["{name}"\\]') as caught:
            getattr(settings, name)
        assert caught.value.hint.startswith("It must be")
        assert [str(error) for error in configuration_errors()] == [str(caught.value)]


@override_settings(DJANGO_TVIEWS={"LOCK_TIMOUT": "1s", "COLOUR": "green", "DEPTH_LIMIT": 5})
def test_unknown_settings_are_reported_with_the_name_that_was_meant() -> None:
    assert [(error.message, error.hint) for error in configuration_errors()] == [
        (
            "DJANGO_TVIEWS has an unknown setting 'COLOUR'.",
            f"Known are {', '.join(NAMES)}.",
        ),
        (
            "DJANGO_TVIEWS has an unknown setting 'LOCK_TIMOUT'.",
            "Did you mean LOCK_TIMEOUT?",
        ),
    ]


def test_something_other_than_a_dictionary_is_one_error_that_says_so() -> None:
    value: Any = ["DEPTH_LIMIT"]
    with override_settings(DJANGO_TVIEWS=value):
        [error] = configuration_errors()
        assert error.message == "DJANGO_TVIEWS is ['DEPTH_LIMIT'], not a dictionary."
        with pytest.raises(ConfigurationError, match="not a dictionary"):
            _ = settings.DEPTH_LIMIT
