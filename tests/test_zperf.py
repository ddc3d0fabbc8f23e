import time, statistics, os, sys
import pytest

PID = [0]


def cpu():
    with open(f"/proc/{PID[0]}/schedstat") as f:
        return int(f.read().split()[0]) / 1000


def med(f, n=200):
    """CPU microseconds of the backend per call, the first 10 left out."""
    ts = []
    w = min(10, n - 1)
    for i in range(n):
        t = cpu()
        f(i)
        ts.append(cpu() - t)
    ts = sorted(ts[w:])
    return ts[len(ts) // 2]


HAND = """
CREATE FUNCTION {s}hand_ins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
  PERFORM pg_advisory_xact_lock_shared(77, h) FROM (SELECT DISTINCT hashint4(author_id) & 1023 AS h FROM new_rows ORDER BY 1) x;
  INSERT INTO hcard SELECT p.id, p.title, a.name FROM new_rows p JOIN author a ON a.id = p.author_id;
  INSERT INTO hstat AS t SELECT author_id, count(*), sum(n) FROM new_rows GROUP BY author_id
    ON CONFLICT (author_id) DO UPDATE SET posts = t.posts + excluded.posts, total = t.total + excluded.total;
  RETURN NULL;
END $$;
CREATE FUNCTION {s}hand_del() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM old_rows) THEN RETURN NULL; END IF;
  DELETE FROM hcard USING old_rows o WHERE hcard.id = o.id;
  WITH d AS (SELECT author_id, count(*) c, sum(n) s FROM old_rows GROUP BY author_id)
  UPDATE hstat t SET posts = t.posts - d.c, total = t.total - d.s FROM d WHERE t.author_id = d.author_id;
  DELETE FROM hstat t USING old_rows o WHERE t.author_id = o.author_id AND t.posts = 0;
  RETURN NULL;
END $$;
CREATE FUNCTION {s}hand_upd() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
  UPDATE hcard SET title = n.title, name = a.name FROM new_rows n JOIN old_rows o USING (id) JOIN author a ON a.id = n.author_id
   WHERE hcard.id = n.id AND (n.title, n.author_id) IS DISTINCT FROM (o.title, o.author_id);
  INSERT INTO hstat AS t SELECT author_id, sum(c), sum(s) FROM (SELECT n.author_id, 1 c, n.n s FROM new_rows n JOIN old_rows o USING (id) WHERE (n.n,n.author_id) IS DISTINCT FROM (o.n,o.author_id)
     UNION ALL SELECT o.author_id, -1, -o.n FROM old_rows o JOIN new_rows n USING (id) WHERE (n.n,n.author_id) IS DISTINCT FROM (o.n,o.author_id)) x GROUP BY author_id HAVING sum(c) <> 0 OR sum(s) <> 0
    ON CONFLICT (author_id) DO UPDATE SET posts = t.posts + excluded.posts, total = t.total + excluded.total;
  RETURN NULL;
END $$;
CREATE FUNCTION {s}hand_parent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
  UPDATE hcard SET name = n.name FROM new_rows n JOIN old_rows o USING (id) JOIN post p ON p.author_id = n.id
   WHERE hcard.id = p.id AND n.name IS DISTINCT FROM o.name;
  RETURN NULL;
END $$;
CREATE TRIGGER a AFTER INSERT ON {s}post REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {s}hand_ins();
CREATE TRIGGER b AFTER DELETE ON {s}post REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION {s}hand_del();
CREATE TRIGGER c AFTER UPDATE ON {s}post REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {s}hand_upd();
CREATE TRIGGER c AFTER UPDATE ON {s}author REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {s}hand_parent();
"""


def setup(database, kind):
    database.execute("CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL)")
    database.execute(
        "CREATE TABLE post (id integer PRIMARY KEY, title text NOT NULL, author_id integer NOT NULL REFERENCES author, n integer NOT NULL, unread integer NOT NULL DEFAULT 0)"
    )
    database.execute("CREATE INDEX ON post (author_id)")
    database.execute("INSERT INTO author SELECT g, 'a'||g FROM generate_series(1,10000) g")
    database.execute(
        "INSERT INTO post SELECT g, 't'||g, CASE WHEN g <= 1000 THEN 1 WHEN g<=11000 THEN 2 ELSE 3 + g % 9998 END, g%7 FROM generate_series(1,100000) g"
    )
    database.execute("ANALYZE post")
    database.execute("ANALYZE author")
    if kind in ("tview", "card"):
        database.tview(
            "SELECT p.id, p.title, a.name FROM post p JOIN author a ON a.id = p.author_id",
            "id integer, title text, name text",
            table="card",
        )
    if kind in ("tview", "stat"):
        database.tview(
            "SELECT author_id, count(*) AS posts, sum(n) AS total FROM post GROUP BY author_id",
            "author_id integer, posts bigint, total bigint NULL",
            key="author_id",
            table="stat",
        )
    if kind == "hand":
        database.execute(
            "CREATE TABLE hcard (id integer PRIMARY KEY, title text NOT NULL, name text NOT NULL)"
        )
        database.execute(
            "INSERT INTO hcard SELECT p.id, p.title, a.name FROM post p JOIN author a ON a.id = p.author_id"
        )
        database.execute(
            "CREATE TABLE hstat (author_id integer PRIMARY KEY, posts bigint NOT NULL, total bigint)"
        )
        database.execute(
            "INSERT INTO hstat SELECT author_id, count(*), sum(n) FROM post GROUP BY author_id"
        )
        q = '"' + database.schema + '"'
        database.execute(HAND.format(s=q + ".", schema=q))


@pytest.mark.parametrize("kind", os.environ.get("KINDS", "bare,hand,card,stat,tview").split(","))
def test_perf(database, kind):
    setup(database, kind)
    database.execute("VACUUM ANALYZE post")
    c = database.connect()
    c.autocommit = True
    c.execute("SET synchronous_commit=off")
    PID[0] = c.execute("select pg_backend_pid()").fetchone()[0]
    out = {}
    out["unread"] = med(
        lambda i: c.execute("UPDATE post SET unread = unread+1 WHERE id = %s", [20000 + i])
    )
    out["title"] = med(
        lambda i: c.execute("UPDATE post SET title = title||'y' WHERE id = %s", [20000 + i])
    )
    out["n"] = med(lambda i: c.execute("UPDATE post SET n = n+1 WHERE id = %s", [20000 + i]))
    out["move"] = med(
        lambda i: c.execute(
            "UPDATE post SET author_id = 3+(author_id+1) %% 9998 WHERE id = %s", [20000 + i]
        )
    )
    out["ins"] = med(
        lambda i: c.execute("INSERT INTO post VALUES (%s,'x',%s,3)", [200000 + i, 100 + i])
    )
    out["del"] = med(lambda i: c.execute("DELETE FROM post WHERE id = %s", [200000 + i]))
    out["ren10"] = med(
        lambda i: c.execute("UPDATE author SET name = name||'z' WHERE id = %s", [5000 + i])
    )
    out["ren1000"] = med(lambda i: c.execute("UPDATE author SET name = name||'z' WHERE id = 1"), 10)
    out["ren10000"] = med(lambda i: c.execute("UPDATE author SET name = name||'z' WHERE id = 2"), 3)
    out["upd10000"] = med(
        lambda i: c.execute("UPDATE post SET n = n+1 WHERE id > 50000 AND id <= 60000"), 3
    )
    k = [300000]

    def ins(i):
        c.execute(
            "INSERT INTO post SELECT g,'x',g%%9000+100,3 FROM generate_series(%s,%s) g",
            [k[0] + 1, k[0] + 10000],
        )
        k[0] += 10000

    out["ins10000"] = med(ins, 3)
    print()
    print(kind.ljust(6), " ".join(f"{a}={b:.0f}" for a, b in out.items()))
    database.check() if kind != "hand" else None
