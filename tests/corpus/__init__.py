"""Migrations that several versions of Django have written for one project.

``python -m tests.corpus`` writes those of the Django that runs it. Under every other version they
have to be what ``makemigrations`` would write.
"""
