"""What every API model shares: frozen, camelCase on the wire, unknown fields refused."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

DECIMAL_PATTERN = "^[0-9]{1,12}([.][0-9]{1,9})?$"
DURATION_PATTERN = "^[0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h)$"
SHARE_PATTERN = "^(0([.][0-9]{1,9})?|1([.]0{1,9})?)$"
_SHARE_REMEDY = 'must be a string from "0" to "1", such as "0.2"'
_DECIMAL_REMEDY = 'must be a plain decimal string such as "2.49"'
_DURATION_REMEDY = 'must be a duration such as "500ms", "2s" or "1m"'
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Model(BaseModel):
    """Base of all API models."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_enum_values=False,
    )

    def to_json(self) -> dict[str, Any]:
        """Return the object as the API server would hold it: camelCase, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def schema_rules(*rules: tuple[str, str]) -> dict[str, Any]:
    """CEL rules for a model's `json_schema_extra`, each as (expression, message)."""
    return {"x-kubernetes-validations": [{"rule": r, "message": m} for r, m in rules]}


def _text(pattern: str, longest: int, remedy: str) -> WithJsonSchema:
    """A string whose pattern is checked by CEL: a bare `pattern` could not say what to write."""
    rules = schema_rules((f"self.matches('{pattern}')", remedy))
    return WithJsonSchema({"type": "string", "maxLength": longest, **rules})


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'write it as a string, "{value}", so that no cent is rounded away')
    if not isinstance(value, str) or not re.match(DECIMAL_PATTERN, value):
        raise ValueError(_DECIMAL_REMEDY)
    return Decimal(value)


def _share(value: Decimal) -> Decimal:
    if value > 1:
        raise ValueError(_SHARE_REMEDY)
    return value


def _duration(value: object) -> float:
    if isinstance(value, float):
        return value
    if not isinstance(value, str) or not re.match(DURATION_PATTERN, value):
        raise ValueError(_DURATION_REMEDY)
    unit = "ms" if value.endswith("ms") else value[-1]
    return float(value.removesuffix(unit)) * _UNIT_S[unit]


def _plain(value: Decimal) -> str:
    return format(value, "f")


def _duration_text(seconds: float) -> str:
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


Quantity = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(_plain, return_type=str),
    _text(DECIMAL_PATTERN, 22, _DECIMAL_REMEDY),
]
"""A decimal written as a string: money, prices and weights are never floats on the wire."""

Share = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    AfterValidator(_share),
    PlainSerializer(_plain, return_type=str),
    _text(SHARE_PATTERN, 11, _SHARE_REMEDY),
]
"""A part of a whole, 0 to 1, written as a string."""

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(_duration_text, return_type=str),
    _text(DURATION_PATTERN, 12, _DURATION_REMEDY),
]
"""Seconds in Python, text such as `2s` on the wire."""

Name = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of a Kubernetes object, a header or a model."""

Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""A DNS label: used in file names and metric labels."""
