-- For triggers that are exact at every isolation level: they take the locks that a TView of the same
-- query takes, and enter them into the ring, by the same functions.
--
-- An exclusive or a shared lock on a value at a place. Place 0 are the keys; tview_explain names the
-- others, where writers look rows up, and they are numbered in that order. Statements over 100 rows
-- and more take the lock on everything, as a TView does from 256 locks on.

CREATE FUNCTION exclude(place integer, value bigint) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN django_tviews_exclusive(place, hashint8extended(value, 0));

CREATE FUNCTION share(place integer, value bigint) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN django_tviews_shared(place, hashint8extended(value, 0));

