from tests.test_zperf import setup
import os, pytest

FN = """CREATE PROCEDURE hot(statement text, n integer, INOUT result float) LANGUAGE plpgsql AS $$
DECLARE t timestamptz; ts float[] := '{}';
BEGIN
 FOR i IN 1..n LOOP
  t := clock_timestamp();
  EXECUTE statement USING 20000 + i %% 500, i;
  ts := ts || (extract(epoch from clock_timestamp() - t)*1e6)::float;
  COMMIT;
 END LOOP;
 result := (SELECT percentile_cont(0.1) WITHIN GROUP (ORDER BY x) FROM unnest(ts) x);
END $$"""
OPS = {
    "title": "UPDATE post SET title='z'||$2 WHERE id=$1",
    "unread": "UPDATE post SET unread=$2 WHERE id=$1",
    "n": "UPDATE post SET n=$2 WHERE id=$1",
    "move": "UPDATE post SET author_id=100+$2%%9000 WHERE id=$1",
    "ins": "INSERT INTO post VALUES (1000000+$2,'x',100+$2%%9000,1)",
    "del": "DELETE FROM post WHERE id=1000000+$2",
    "author": "UPDATE author SET name='z'||$2 WHERE id=$1%%500+5000",
    "ren1000": "UPDATE author SET name='z'||$2 WHERE id=1",
}


@pytest.mark.parametrize("kind", os.environ.get("KINDS", "bare,hand,card,stat").split(","))
def test_hot(database, kind):
    setup(database, kind)
    c = database.connect()
    c.autocommit = True
    c.execute("SET synchronous_commit=off")
    c.execute(FN.replace("%%", "%"))
    out = {}
    for name, sql in OPS.items():
        n = 20 if name == "ren1000" else 1500
        out[name] = round(c.execute("CALL hot(%s,%s,0)", [sql.replace("%%", "%"), n]).fetchone()[0])
    print("\n", kind.ljust(6), out)
