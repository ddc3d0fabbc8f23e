"""``python -m tests.corpus``: write the migrations of the Django that runs this."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import django

DIRECTORY = Path(__file__).parent


def main() -> None:
    """Write the migrations anew."""
    name = "django_{}_{}".format(*django.VERSION)
    os.environ["CORPUS"] = name
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.corpus.settings"
    shutil.rmtree(DIRECTORY / name, ignore_errors=True)
    for app in ("catalog", "shop"):
        (DIRECTORY / name / app).mkdir(parents=True)
        (DIRECTORY / name / app / "__init__.py").touch()
    (DIRECTORY / name / "__init__.py").touch()
    django.setup()
    from django.core.management import call_command

    call_command("makemigrations", include_header=False)


if __name__ == "__main__":
    main()
