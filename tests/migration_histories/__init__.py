"""Random histories of a project: models and TViews that change, in a real database.

    python -m tests.migration_histories --histories 100 --seed 7
    python -m tests.migration_histories --history 7:12

A history is a list of steps. In each, somebody edits models.py, runs makemigrations, perhaps adds
a data migration, and runs migrate. Then everything is migrated back, and built again from nothing
in other orders. After every operation each TView is compared with its query, with random writes in
between. The modules, in the order in which a history comes about:

``project``
    models.py as values: what the models and TViews are at one moment, and the state of them.
``views``
    TViews as values: they refer to columns by identity, so that queries follow what is renamed.
``edits``
    what somebody may do to a project in one step.
``proposals``
    random edits.
``database``
    migrates a schema with Django's own executor, writes, asks the oracle, looks for leftovers.
``writes``
    random writes to whatever tables there are.
``life``
    makes the migrations for one state of a project after another, applies and reverses them.
``campaign``
    runs history after history, counts, and cuts down what fails.
"""

from __future__ import annotations
