"""Transactions that run beside each other, advanced step by step, in every order there is.

``tests/test_interleavings.py`` runs each scenario at a choice of isolation levels;
``python -m tests.interleaving`` at all of them.
"""
