import json

from chatops.dispatch.binding import bind_values
from chatops.dispatch.schema import tool_schema
from tests.unit.dispatch.conftest import CLOSED, COMPARE, HELP, RUN


def test_the_schema_is_what_a_model_has_to_give() -> None:
    assert tool_schema(RUN) == {
        "type": "object",
        "properties": {
            "strategy": {"type": "string", "description": "What to run"},
            "symbols": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 4,
                "description": "What to trade",
                "default": ["AAPL"],
            },
            "start": {"type": "string", "format": "date", "description": "First day"},
            "fee": {
                "type": "number",
                "minimum": 0,
                "exclusiveMaximum": 1,
                "description": "Fraction of each side",
                "default": 0.001,
            },
            "timeframe": {"type": "string", "enum": ["1h", "4h", "1d"], "default": "1d"},
            "fresh": {"type": "boolean"},
            "params": {"type": "object"},
        },
        "additionalProperties": False,
        "required": ["strategy"],
    }


def test_choices_bounds_and_types_of_every_kind() -> None:
    found = tool_schema(CLOSED)["properties"]
    assert found["title"] == {"type": "string", "maxLength": 20}
    assert found["count"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
    assert found["speed"] == {"type": "string", "enum": ["slow", "fast"], "default": "slow"}
    assert found["level"] == {"type": "integer", "enum": [1, 2, 3], "default": 1}
    assert found["at"] == {"type": "string", "format": "date-time"}
    assert found["limit"] == {"anyOf": [{"type": "integer"}, {"type": "number"}]}
    assert found["size"] == {
        "anyOf": [{"type": "integer"}, {"type": "string", "enum": ["all"]}],
        "minimum": 1,
        "default": "all",
    }
    assert tool_schema(COMPARE)["properties"]["strategies"] == {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "maxItems": 5,
    }


def test_a_command_without_parameters_takes_none() -> None:
    assert tool_schema(HELP) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_it_is_json_and_what_it_asks_for_binds() -> None:
    for spec in (RUN, CLOSED, COMPARE, HELP):
        schema = tool_schema(spec)
        assert json.loads(json.dumps(schema)) == schema
    bind_values(RUN, {"strategy": "a", "symbols": ["X"], "fee": 0, "params": {"window": 3}})
