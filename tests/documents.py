"""The documentation as a reader follows it: code blocks, commands, links.

A block of code in ``docs/`` says by its first line what a reader does with it:

``title="books/models.py"``, in whatever language
    Makes this file. In Python, with ``mode="append"`` the text goes to its end; with ``mode="change"`` the
    classes and functions in it take the place of those with the same names.
``console``
    Types what stands after ``$`` and sees the lines below it. ``exit="1"`` says that the last
    command ends with that code.
``pycon``, and ``python`` without a title
    Types it into ``manage.py shell``.
``sql``
    Types it into ``psql``.

``sh``, ``text`` and whatever says by ``module="..."`` where it comes from are only looked at.

Durations, and whatever stands in place of ``...``, may differ.
"""

from __future__ import annotations

import ast
import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"^(?P<margin> *)```(?P<language>\w+)(?P<attributes>[^\n`]*)\n(?P<text>.*?)^(?P=margin)```$",
    re.MULTILINE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_DURATION = re.compile(r"\b[\d.]+ ?m?s\b")

# What the documentation calls the database; a test gives it a name of its own.
DATABASE = "library"

# What is typed into the shell is followed by a comparison of each TView with its query.
_SHELL = """
import doctest, sys
import django
django.setup()
from django_tviews.maintenance import verify
typed = sys.stdin.read()
if typed.startswith(">>>"):
    test = doctest.DocTestParser().get_doctest(typed, {}, "shell", None, 0)
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False).run(test).failed
else:
    exec(typed, {})
    failed = 0
drifted = [str(report) for report in verify() if not report.exact]
sys.exit("\\n".join(drifted) or failed)
"""


@dataclass(frozen=True)
class Block:
    """A block of code in a document.

    Attributes:
        document: where it stands.
        line: of its first line, from 1.
        language: the first word after the fence.
        attributes: what is set after that.
        text: the code.
    """

    document: Path
    line: int
    language: str
    attributes: Mapping[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}, line {self.line}"


def blocks(document: Path) -> list[Block]:
    """Return the blocks of code of a document, in order."""
    text = document.read_text()
    return [
        Block(
            document,
            text.count("\n", 0, match.start()) + 2,
            match["language"],
            dict(_ATTRIBUTE.findall(match["attributes"])),
            re.sub(rf"^{match['margin']}", "", match["text"], flags=re.MULTILINE),
        )
        for match in _FENCE.finditer(text)
    ]


def prose(document: Path) -> str:
    """Return a document without its blocks of code."""
    return _FENCE.sub("", document.read_text())


def links(document: Path) -> list[str]:
    """Return the targets of all links in a document."""
    return _LINK.findall(prose(document))


def anchors(document: Path) -> set[str]:
    """Return what a link may name in a document: its headings, and anchors set by hand."""
    text = prose(document)
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }
    return headings | set(_ANCHOR.findall(text))


@dataclass
class Reader:
    """Somebody who does what documents say, in a directory of their own.

    Attributes:
        directory: where.
        server_url: of the PostgreSQL server at hand.
        programs: the directory of its programs.
        database: the name of the database that the documents call ``library``.
    """

    directory: Path
    server_url: str
    programs: Path
    database: str
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "PYTEST", "DJANGO_", "COV_"))
        }
        server = conninfo_to_dict(self.server_url)
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
        given = {names[key]: str(value) for key, value in server.items() if key in names}
        self.environment = {
            **kept,
            **given,
            "PATH": os.pathsep.join([str(self.programs), kept["PATH"]]),
            "PYTHONPATH": _directory_of_the_package(),
            "COLUMNS": "100",
            "PSQL_PAGER": "",
        }
        if not plugin_is_installed():
            self.environment["PYTEST_PLUGINS"] = "django_tviews.pytest_plugin"

    def follow(self, document: Path) -> None:
        """Do what a document says, and see what it shows."""
        for block in blocks(document):
            match block.language:
                case _ if "module" in block.attributes:
                    pass
                case _ if "title" in block.attributes:
                    self._edit(block)
                case "python" | "pycon":
                    self._shell(block)
                case "console":
                    self._type(block)
                case "sql":
                    self._psql(block)
                case "sh" | "text":
                    pass
                case other:
                    raise AssertionError(f"{block}: a reader cannot do anything with {other}")

    def type(self, command: str) -> None:
        """Type one command that no document shows."""
        self._type(Block(ROOT, 0, "console", {}, f"$ {command}\n"))

    def _edit(self, block: Block) -> None:
        path = self.directory / block.attributes["title"]
        path.parent.mkdir(exist_ok=True)
        text = self._to_ours(block.text)
        match block.attributes.get("mode"):
            case None:
                path.write_text(text)
            case "append":
                path.write_text(f"{path.read_text()}\n{text}")
            case "change":
                path.write_text(_changed(path.read_text(), text))

    def _type(self, block: Block) -> None:
        *most, last = _commands(block.text)
        for command, expected in most:
            self._run(block, command, expected, code=0)
        self._run(block, *last, code=int(block.attributes.get("exit", "0")))

    def _run(self, block: Block, command: str, expected: str, *, code: int) -> None:
        python = shlex.quote(sys.executable)
        done = subprocess.run(
            re.sub(r"^python\b", python, self._to_ours(command)),
            shell=True,
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        shown = self._to_theirs(done.stdout)
        assert done.returncode == code, (
            f"{block}: $ {command} ended with {done.returncode}\n{shown}"
        )
        assert _looks_like(expected, shown), (
            f"{block}: $ {command}\nthe document shows:\n{expected}\nit printed:\n{shown}"
        )

    def _shell(self, block: Block) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _SHELL],
            cwd=self.directory,
            env={**self.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
            input=self._to_ours(block.text),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{self._to_theirs(done.stdout)}"

    def _psql(self, block: Block) -> None:
        done = subprocess.run(
            [self.programs / "psql", "--set", "ON_ERROR_STOP=1", self.database],
            env=self.environment,
            input=block.text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"

    @contextmanager
    def copied(self, directory: Path, database: str) -> Iterator[Reader]:
        """Give another reader who stands where this one does, with a copy of everything."""
        shutil.copytree(self.directory, directory)
        settings = directory / "config" / "settings.py"
        settings.write_text(settings.read_text().replace(self.database, database))
        copy = Reader(directory, self.server_url, self.programs, database)
        try:
            subprocess.run(
                [self.programs / "createdb", "--template", self.database, database],
                env=self.environment,
                check=True,
            )
            yield copy
        finally:
            copy.forget()

    def forget(self) -> None:
        """Drop the databases that the reader has made."""
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            for name in (self.database, f"{self.database}_restored", f"test_{self.database}"):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _to_ours(self, text: str) -> str:
        return re.sub(rf"\b{DATABASE}(?=\b|_)", self.database, text)

    def _to_theirs(self, text: str) -> str:
        return text.replace(self.database, DATABASE)


def plugin_is_installed() -> bool:
    """Tell whether pytest finds the plugin by itself: the package is not only on the path."""
    return "django_tviews" in entry_points(group="pytest11").names


def _directory_of_the_package() -> str:
    import django_tviews

    return str(Path(django_tviews.__file__).parent.parent)


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Split a console into what is typed and what is printed then."""
    lines = text.splitlines()
    starts = [place for place, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in pairwise([*starts, len(lines)]):
        yield lines[start].removeprefix("$ "), "\n".join(lines[start + 1 : end])


def _looks_like(expected: str, shown: str) -> bool:
    """Compare what a document shows with what was printed; no lines shown means any."""
    if not expected:
        return True
    texts = [
        "\n".join(line.rstrip() for line in _DURATION.sub("1 ms", text).strip().splitlines())
        for text in (expected, shown)
    ]
    return doctest.OutputChecker().check_output(*texts, doctest.ELLIPSIS)


def _changed(text: str, change: str) -> str:
    """Replace definitions in a Python file, and add the imports that the new ones need."""
    lines = text.splitlines()
    before = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    imports = []
    for node in ast.parse(change).body:
        source = ast.get_source_segment(change, node) or ""
        if isinstance(node, ast.ClassDef):
            old = before[node.name]
            start, end = old.lineno - 1, old.end_lineno or 0
            lines[start:end] = [source] + [""] * (end - start - 1)
        else:
            imports.append(source)
    return "\n".join([*imports, *lines, ""])
