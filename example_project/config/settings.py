"""Settings of the example project: a shop, without pages."""

from __future__ import annotations

import os

from support.database import database_settings

SECRET_KEY = "only for the example project"
INSTALLED_APPS = [
    "django_tviews",
    "shop",
]
# `manage.py demo` starts a server of its own where none is named.
DATABASES = {"default": database_settings(os.environ.get("TVIEWS_DATABASE_URL", ""))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
