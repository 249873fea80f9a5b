"""The house keeps its form: sizes, names, and that importing does no work."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "server" / "chatops"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
BANNED_NAMES = {"utils", "helpers", "common", "misc", "manager", "data"}


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_short_named_for_what_it_is_and_says_so(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert path.stem not in BANNED_NAMES
    assert ast.get_docstring(ast.parse(text))


def test_every_package_has_a_docstring() -> None:
    folders = {path.parent for path in MODULES}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_the_server_imports_no_numerical_library() -> None:
    heavy = ("numpy", "pandas", "bt", "ffn", "matplotlib", "talib", "duckdb", "scipy")
    code = (
        "import sys, chatops.bootstrap, chatops.cli; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_any_module_starts_nothing(tmp_path: Path) -> None:
    names = [_name(path) for path in MODULES if path.stem != "__main__"]
    code = (
        "import importlib, threading, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
