"""Mutations: each rule of maintenance is switched off, and a test has to notice.

    python -m tests.mutations
    python -m tests.mutations --only "nothing is routed from"

A mutation replaces a piece of the package's text, of a module or of a SQL template, in a copy of
the project; the tests that ought to notice run there. The last column of what is printed names
the first test that failed. A rule whose mutation survives is superfluous, or needs a test.

``rules``
    the table of mutations.
``laboratory``
    copies, replaces, runs.
"""

from __future__ import annotations
