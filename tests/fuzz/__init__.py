"""A differential fuzzer: random schemas, queries and writes, compared after every statement.

    python -m tests.fuzz --minutes 5 --seed 7
    python -m tests.fuzz --case 7:12

Choices come from a seeded `random.Random` and not from hypothesis, which bounds an example at 8192
choices: put in front of the same grammar, it gave up nearly every example before the first TView was
installed (in one minute 21 TViews and 1021 comparisons, against 114 and 9353), and what it shrinks
is choices, not SQL. Where what is to be drawn is small, statements over known queries, hypothesis
is the better machine: ``tests/test_stateful.py``.

The modules, in the order in which a case comes about:

``schema``
    random tables, with the foreign keys, keys and triggers that make writes interesting.
``queries``
    a grammar of SELECT, a module for each part of it.
``statements``
    a grammar of writes.
``case``
    what was generated, as plain SQL text: a failing case can be read, cut down and run again.
``playground``
    runs a case twice in one database, once with TViews and once with plain views in their place,
    and fails when the two can be told apart.
``shrink``
    cuts a failing case down to what fails.
``campaign``
    generates case after case, and counts what was accepted, refused and compared.
"""

from __future__ import annotations
