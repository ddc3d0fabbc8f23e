from tests.test_zhot import FN, OPS
from tests.test_zperf import setup
import re


def test_hot2(database):
    setup(database, "card")
    c = database.connect()
    c.autocommit = True
    c.execute(FN.replace("%%", "%"))
    name = "tviews_card_on_post_update"
    orig = database.value(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname=%s AND pronamespace=%s::regnamespace",
        name,
        database.schema,
    )

    def run(label, text):
        database.execute(text.replace("%", "%%") if 0 else text)
        c2 = database.connect()
        c2.autocommit = True
        r = {
            k: round(
                c2.execute("CALL hot(%s,%s,0)", [OPS[k].replace("%%", "%"), 1500]).fetchone()[0]
            )
            for k in ("title", "unread")
        }
        print(label.ljust(40), r)

    print()
    run("orig", orig)
    noex = re.sub(
        r"    -- Nothing that the query reads has changed\.\n.*?END IF;\n", "", orig, flags=re.S
    )
    run("no NOT EXISTS", noex)
    nolock = re.sub(r"    PERFORM \S+django_tviews_lock\(.*?\);\n", "", noex)
    run("+ no lock", nolock)
    norec = re.sub(r"PERFORM \S+_recompute\([^)]*\);", "NULL;", nolock)
    run("+ no recompute", norec)
    noset = re.sub(r"\n SET \w+ TO [^\n]*", "", norec)
    run("+ no SET", noset)
    noroutes = re.sub(
        r"    WITH delta AS.*?locks\(\"locks\?\"\);\n|    -- The keys stand.*?\(\"locks\?\"\);\n",
        "",
        noset,
        flags=re.S,
    )
    run("+ no routes", noroutes)
    full = noroutes
    d = re.sub(
        r"FULL JOIN new_rows AS n ON o.id = n.id", "JOIN new_rows AS n ON o.id = n.id", noset
    )
    run("noset, inner join instead", d)
    d = re.sub(r"\n\s*OR \(SELECT count\(\*\) > count\(DISTINCT \(id\)\) FROM \w+\)", "", noset)
    run("noset, no count", d)
