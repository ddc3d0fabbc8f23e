"""What the suite's long-running commands begin with."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import django

from django_tviews.plan.plan import Strategy
from support.postgres import PrivateServer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator


def add_strategies(parser: argparse.ArgumentParser) -> None:
    """Let a command do without some strategies, which nothing but the time it takes may show."""
    parser.add_argument(
        "--without",
        nargs="+",
        choices=("fold", "patch"),
        default=(),
        help="strategies that no plan may use; what they would do is recomputed",
    )


@contextmanager
def django_beside_a_server(without: Collection[str] = ()) -> Iterator[None]:
    """Set Django up over the server of ``TVIEWS_DATABASE_URL``, else over a private one.

    Args:
        without: the strategies that no plan may use.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    with ExitStack() as stack:
        if "TVIEWS_DATABASE_URL" not in os.environ:
            server = stack.enter_context(PrivateServer())
            os.environ["TVIEWS_DATABASE_URL"] = server.url
        django.setup()
        if without:
            from tests.harness import strategies

            allowed = (each for each in Strategy if each not in without)
            stack.enter_context(strategies(*allowed))
        yield
