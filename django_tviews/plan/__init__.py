"""Relational tree and facts in, plan out: routes and strategies. Pure, no I/O, no Django."""
