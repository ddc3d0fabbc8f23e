"""What the suite's long-running commands begin with."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import django

from support.postgres import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def django_beside_a_server() -> Iterator[None]:
    """Set Django up over the server of ``TVIEWS_DATABASE_URL``, else over a private one."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    if "TVIEWS_DATABASE_URL" in os.environ:
        django.setup()
        yield
        return
    with PrivateServer() as server:
        os.environ["TVIEWS_DATABASE_URL"] = server.url
        django.setup()
        yield
