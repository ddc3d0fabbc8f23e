"""Mutations: each rule of maintenance is switched off, and a test has to notice.

    python -m tests.mutations
    python -m tests.mutations --only "nothing is routed from"
    python -m tests.mutations --new

A mutation replaces a piece of the package's text, of a module or of a SQL template, in a copy of
the project; the tests that ought to notice run there, until the first fails: before all others the
one that noticed last time. ``docs/internals/mutations.md`` names it for each rule. A rule whose
mutation survives is superfluous, or needs a test.

``rules``
    the table of mutations.
``laboratory``
    copies, replaces, runs.
``record``
    remembers which test noticed.
"""

from __future__ import annotations
