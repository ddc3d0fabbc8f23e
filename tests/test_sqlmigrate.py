"""sqlmigrate prints what migrate would run, and runs nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection


def printed(*arguments: str, **options: object) -> str:
    out = StringIO()
    call_command("sqlmigrate", "testapp", "0001", *arguments, stdout=out, **options)
    return out.getvalue()


def objects() -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid, relname::text, relfilenode FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT oid, proname::text, 0 FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        )
        return cursor.fetchall()


@pytest.mark.django_db
def test_sqlmigrate_prints_every_kind_of_statement_and_changes_nothing() -> None:
    before = objects()
    text = printed()
    for statement in (
        "CREATE VIEW public.testapp_productcard_query AS",
        "LOCK TABLE public.testapp_product",
        'CREATE TABLE "testapp_productcard"',
        "CREATE OR REPLACE FUNCTION public.tviews_testapp_productcard_recompute(",
        "CREATE OR REPLACE TRIGGER tviews_1_open_insert_public BEFORE INSERT ON public.testapp_product",
        "SELECT public.tviews_testapp_productcard_rebuild()",
        "CREATE OR REPLACE TRIGGER tviews_0_guard",
        "INSERT INTO public.django_tviews_registry",
    ):
        assert statement in text
    assert objects() == before


@pytest.mark.django_db
def test_sqlmigrate_backwards_prints_the_end_of_tviews_that_read_each_other() -> None:
    before = objects()
    text = printed(backwards=True)
    assert text.index('DROP TABLE "testapp_suppliertotals"') < text.index(
        'DROP TABLE "testapp_productcard"'
    )
    assert "DROP VIEW public.testapp_productcard_query" in text
    assert objects() == before
