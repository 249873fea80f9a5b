"""The operator's file of models and policies: TOML that adds rows, or puts others in their place.

::

    [models."llama-3.3-70b"]
    tier = "MINI"
    capabilities = ["CHAT", "FUNCTION_CALLING"]
    input_price_per_1m = 0.10
    ...

    [policies.chatops_advanced]
    allowed_tiers = ["MINI"]
    default_model = "llama-3.3-70b"
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chatops.assistant import catalogue, policies
from chatops.assistant.catalogue import Capability, ModelConfig
from chatops.assistant.policies import Policies, ServiceModelPolicy
from chatops.errors import BadParameterError

_HINT = "docs/topics/assistant.md shows the form of the file."

T = TypeVar("T", bound=BaseModel)


def load_policies(path: Path | None) -> Policies:
    """Return the built-in models and policies, with the rows of the file in or beside them.

    Raises:
        BadParameterError: The file cannot be read, a row of it is wrong, or a policy does not
            allow the models that it names. The message names the file, the row, and what is wrong.
    """
    content = {} if path is None else _read(path)
    name = "the built-in models" if path is None else str(path)
    unknown = [key for key in content if key not in ("models", "policies")]
    if unknown:
        raise _wrong(name, f"[{unknown[0]}]", "there are only [models] and [policies]")
    models = list(_rows(name, content, "models", "model_id", ModelConfig))
    rows = list(_rows(name, content, "policies", "service_name", ServiceModelPolicy))
    by_service = {one.service_name: one for one in (*policies.BUILT_IN, *rows)}
    made = Policies(catalogue.BUILT_IN.with_rows(*models), *by_service.values())
    for policy in by_service.values():
        for part, model_id, also in (
            ("default", policy.default_model, ()),
            ("tools", policy.tools_model, (Capability.FUNCTION_CALLING,)),
        ):
            model = made.catalogue.get(model_id or "")
            why = "there is no such model" if model is None else policy.objection(model, *also)
            if model_id is not None and why is not None:
                raise _wrong(
                    name,
                    f"[policies.{policy.service_name}]",
                    f"the {part} model {model_id} cannot be used: {why}",
                )
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise _wrong(str(path), "", f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _wrong(str(path), "", "it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _wrong(str(path), "", f"it is not TOML: {error}") from error


def _rows(
    file: str, content: Mapping[str, Any], table: str, key: str, form: Callable[..., T]
) -> Iterator[T]:
    rows = content.get(table, {})
    if not isinstance(rows, dict):
        raise _wrong(file, f"[{table}]", "it must be a table with one table for each row")
    for name, fields in rows.items():
        row = f'[{table}."{name}"]'
        if not isinstance(fields, dict):
            raise _wrong(file, row, "it must be a table")
        if fields.get(key, name) != name:
            raise _wrong(file, row, f"{key} is {fields[key]!r}, but the row's name is its id")
        try:
            yield form(**{**fields, key: name})
        except ValidationError as error:
            raise _wrong(file, row, "; ".join(_faults(error))) from error


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in fault["loc"])
        what = {"missing": "is missing", "extra_forbidden": "is no field of such a row"}.get(
            fault["type"], fault["msg"].removeprefix("Value error, ")
        )
        yield f"{where}: {what}"


def _wrong(file: str, row: str, what: str) -> BadParameterError:
    where = f"{file}, {row}" if row else file
    return BadParameterError(f"{where}: {what}.", _HINT)
