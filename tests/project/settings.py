"""Settings of the project: those of the suite, a test database of its own, and initial data."""

from __future__ import annotations

import os

from support.database import database_settings
from tests.settings import (  # noqa: F401
    DEFAULT_AUTO_FIELD,
    INSTALLED_APPS,
    SECRET_KEY,
    USE_TZ,
)

INSTALLED_APPS = [*INSTALLED_APPS, "tests.project"]
DATABASES = {
    "default": {
        **database_settings(os.environ["TVIEWS_DATABASE_URL"]),
        "TEST": {"NAME": os.environ["PROJECT_TEST_DATABASE"]},
    },
}
