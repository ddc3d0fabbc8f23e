"""Settings of the project, with the migrations that ``CORPUS`` names."""

from __future__ import annotations

import os

WRITTEN = os.environ["CORPUS"]

SECRET_KEY = "only for tests"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.postgres",
    "django_tviews",
    "tests.corpus.catalog",
    "tests.corpus.shop",
]
MIGRATION_MODULES = {app: f"tests.corpus.{WRITTEN}.{app}" for app in ("catalog", "shop")}
# No database is asked.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "nowhere",
        "HOST": "/nowhere",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "catalog.Customer"
USE_TZ = True
