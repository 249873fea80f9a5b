"""The generated documents before the tools that read them: tsc, and the schema of AsyncAPI."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from chatops.protocol.schema import render

FOLDER = Path(__file__).parents[1] / "typescript"
REACT = Path(__file__).parents[2] / "client_examples" / "react"


@pytest.fixture(scope="module")
def node_modules() -> Path:
    folder = FOLDER / "node_modules"
    if not folder.exists():
        npm = shutil.which("npm")
        assert npm, "install Node 20 or newer, which brings npm"
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, timeout=110)
    return folder


def compile_with(node_modules: Path, project: Path) -> str:
    """Return what the compiler has to say about a project; nothing if it is right."""
    tsc = node_modules / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        ["node", str(tsc), "--noEmit", "-p", str(project)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return done.stdout + done.stderr


def test_a_client_compiles_strictly_with_the_generated_types(node_modules: Path) -> None:
    assert compile_with(node_modules, FOLDER) == ""


def test_the_compiler_would_tell_if_the_wire_lost_a_field(
    node_modules: Path, tmp_path: Path
) -> None:
    # The same client, with types of a wire whose messages have no seq.
    types = render("typescript")
    assert "  seq: number;\n" in types
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    (tmp_path / "docs" / "reference" / "wire.ts").write_text(
        types.replace("  seq: number;\n", ""), encoding="utf-8"
    )
    project = tmp_path / "tests" / "typescript"
    project.mkdir(parents=True)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(FOLDER / name, project)
    (project / "node_modules").symlink_to(node_modules)
    told = compile_with(node_modules, project)
    assert "client.ts" in told
    assert "Property 'seq' does not exist" in told


def test_the_asyncapi_document_is_valid_to_asyncapis_own_schema(node_modules: Path) -> None:
    official = node_modules / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    validator = Draft7Validator(json.loads(official.read_text(encoding="utf-8")))
    document: dict[str, Any] = json.loads(render("asyncapi"))
    assert best_match(validator.iter_errors(document)) is None
    broken = {**document, "operations": {"message": {"action": "shout"}}}
    assert not validator.is_valid(broken)


def test_the_react_client_has_the_types_of_this_server() -> None:
    types = REACT / "src" / "wire.ts"
    assert types.read_text(encoding="utf-8") == render("typescript") + "\n", "run `make schema`"


@pytest.mark.parametrize("folder", [FOLDER, REACT], ids=["typescript", "react"])
def test_the_lock_file_names_no_registry(folder: Path) -> None:
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, one in lock["packages"].items() if "resolved" in one] == []
    assert all("integrity" in one for name, one in lock["packages"].items() if name)
