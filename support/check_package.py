"""Build the distributions, look into the wheel, and run the tests against the installed wheel.

``python -m support.check_package [pytest arguments]``

The wheel is built from the sdist, and the tests are those of the sdist, in a directory where the
package's own source is not, and in a virtual environment where only the wheel is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "django_tviews"
SHIPPED_SUFFIXES = {".py", ".sql", ".typed"}


def _run(*command: str | Path, cwd: Path) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=cwd, check=True)


def _only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


def _expected_files() -> set[str]:
    """The files of the source tree that a wheel must carry."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.suffix in SHIPPED_SUFFIXES
    }


def _check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = _expected_files()
    problems = [f"missing: {name}" for name in sorted(expected - shipped)]
    problems += [f"does not belong there: {name}" for name in sorted(shipped - expected)]
    if f"{PACKAGE}/py.typed" not in shipped:
        problems.append("no py.typed")
    if not any(name.endswith(".sql") for name in shipped):
        problems.append("no SQL templates")
    if problems:
        raise SystemExit("\n".join([f"{wheel.name}:", *problems]))
    print(f"{wheel.name}: {len(shipped)} files, as in the source tree", flush=True)


def main() -> None:
    """Raises SystemExit, or CalledProcessError, if anything is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="tviews-package-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # the private server runs programs from the environment in here
        distributions = directory / "dist"
        _run(sys.executable, "-m", "build", "--outdir", distributions, cwd=ROOT)
        wheel = _only(distributions, "*.whl")
        _check_contents(wheel)

        with tarfile.open(_only(distributions, "*.tar.gz")) as archive:
            archive.extractall(directory, filter="data")
        source = _only(directory, "django_tviews-*")
        shutil.rmtree(source / PACKAGE)

        environment = directory / "venv"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        _run(python, "-m", "pip", "install", "--quiet", f"{wheel}[test]", cwd=directory)
        _run(python, "-m", "pytest", *sys.argv[1:], cwd=source)


if __name__ == "__main__":
    main()
