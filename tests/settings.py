"""Django settings of the test suite."""

from __future__ import annotations

import os

from support.database import database_settings

# Without TVIEWS_DATABASE_URL there is no server yet: conftest.py starts a private one when the
# first test asks for a database, and puts its address here.
_SERVER = os.environ.get("TVIEWS_DATABASE_URL", "")

SECRET_KEY = "only for tests"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_tviews",
    "tests.testapp",
]
DATABASES = {
    "default": {**database_settings(_SERVER), "TEST": {"NAME": "test_tviews"}},
    "other": {**database_settings(_SERVER), "TEST": {"NAME": "test_tviews_other"}},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
