"""One step of the project: ``python -m tests.forms STEP DATABASE_URL DATABASE``.

Each step is a process of its own, because it works with the models that the one before has
written into the app ``forms`` of the working directory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.management import call_command

from support.database import database_settings
from support.kept_forms import SCHEMA, kept_forms

if TYPE_CHECKING:
    from collections.abc import Iterable

APP = Path("forms")
FORMS = {f"Form{number}": form for number, form in enumerate(kept_forms())}
READ = next(name for name, form in FORMS.items() if form.table)


def create() -> None:
    """Make the app, with the tables of the examples."""
    call_command("makemigrations", "forms", verbosity=0)
    initial = APP / "migrations" / "0001_initial.py"
    tables = f"operations = [\n        migrations.RunSQL({SCHEMA!r}),"
    initial.write_text(initial.read_text().replace("operations = [", tables))


def migrate() -> None:
    """Check what has been written, and bring the database up to it."""
    call_command("check", fail_level="WARNING")
    call_command("makemigrations", verbosity=0)
    call_command("migrate", verbosity=0)


def inspect(names: Iterable[str]) -> None:
    """Write the classes of some forms."""
    from django_tviews.inspection import inspect_query

    with (APP / "models.py").open("a") as models:
        for name in names:
            sql = FORMS[name].sql.replace(FORMS[READ].table, f"forms_{READ.lower()}")
            models.write(f"\n\n\n{inspect_query(sql, name=name)}")


def keep() -> None:
    """Check that nothing is left to migrate, and that writes are followed."""
    from django.apps import apps
    from django.db import connection

    from django_tviews import TView
    from django_tviews.definition import Declaration
    from tests.oracle import assert_equals_query

    call_command("makemigrations", check_changes=True, verbosity=0)
    call_command("tview_check")
    tviews = [model for model in apps.get_models() if issubclass(model, TView)]
    assert len(tviews) == len(FORMS)
    with connection.cursor() as cursor:
        cursor.execute(Path("writes.sql").read_text())
    for tview in tviews:
        assert_equals_query(connection, Declaration.from_model(tview))
    # Not every query has rows for these, but all classes can be read.
    assert sum(len(tview.objects.all()) for tview in tviews) > len(tviews)


def main(step: str, url: str, database: str) -> None:
    """Do one step."""
    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.postgres",
            "django_tviews",
            "forms",
        ],
        DATABASES={"default": {**database_settings(url), "NAME": database}},
        USE_TZ=True,
    )
    django.setup()
    match step:
        case "create":
            create()
        case "inspect":
            migrate()
            inspect([READ])
        case "inspect_others":
            migrate()
            inspect(name for name in FORMS if name != READ)
        case "keep":
            migrate()
            keep()


if __name__ == "__main__":
    main(*sys.argv[1:])
