"""What the reference says of settings: every one is there, and unused ones are said to be so."""

import ast
from pathlib import Path

from chatops.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "server" / "chatops"


def settings_read_by_the_server() -> set[str]:
    """Names that the package reads of a ``settings`` object, and those that its properties read."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        owner = "self" if path.name == "settings.py" else "settings"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(owner):
                names.add(node.attr)
    return names


def test_a_setting_that_nothing_reads_is_said_to_be_unused() -> None:
    unread = set(Settings.model_fields) - settings_read_by_the_server()
    said = {
        name
        for name, field in Settings.model_fields.items()
        if "Not used yet" in (field.description or "")
    }
    assert said == unread


def test_every_variable_is_in_the_reference_once() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert text.count(f"`CHATOPS_{name.upper()}`") == 1, name
    for other in ("REDIS_URL", "MONGODB_URI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        assert text.count(f"`{other}`") == 1
