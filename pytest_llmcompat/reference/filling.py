"""Filling a JSON Schema: a value that the schema accepts, taken from the prompt where the prompt has one."""

from __future__ import annotations

import math
from typing import Any, Final

from pytest_llmcompat.reference.hints import Hints

__all__ = ["fill"]

_DEEPEST: Final = 12
# Bounds of one answer: schemas without an end (a node that requires two nodes) get null behind them.
_ABYSS: Final = 64
_MOST_VALUES: Final = 4000
_LONGEST: Final = 10_000
_FORMATS: Final = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT5M",
    "email": "reader@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "0f8fad5b-d9cb-469f-a165-70867728950e",
}


def fill(schema: Any, hints: Hints) -> Any:
    """A value that an ordinary schema accepts. What it does not know (`pattern`, `not`, `if`) it leaves aside."""
    return _Filling(schema, hints).value(schema, "", 0)


class _Filling:
    """One schema being filled; its root is where `$ref` points into."""

    def __init__(self, root: Any, hints: Hints) -> None:
        self._root, self._hints = root, hints
        self._left = _MOST_VALUES

    def value(self, schema: Any, name: str, depth: int) -> Any:
        """A value for a subschema; `name` is the key that it stands under."""
        self._left -= 1
        if self._left < 0 or depth > _ABYSS:
            return None
        if not isinstance(schema, dict):
            return {}
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return next((v for v in schema["enum"] if self._hints.mentions(v)), schema["enum"][0])
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self.value(_shallowest(schema[key], depth), name, depth + 1)
        match _type(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return self._number(schema, integral=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
        return self._string(schema, name)

    def _resolved(self, schema: Any, nested: int = 0) -> dict[str, Any]:
        """A schema with its references and parts put in their place."""
        if not isinstance(schema, dict):
            return {}
        resolved: dict[str, Any] = schema
        while nested < _DEEPEST and self._left > 0:
            self._left -= 1
            if "$ref" in resolved:
                beside = {key: value for key, value in resolved.items() if key != "$ref"}
                resolved = {**_at(self._root, resolved["$ref"]), **beside}
            elif resolved.get("allOf"):
                parts = resolved["allOf"]
                resolved = {key: value for key, value in resolved.items() if key != "allOf"}
                for part in parts:
                    resolved = _merged(resolved, self._resolved(part, nested + 1))
            else:
                break
        return resolved

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        wanted = list(properties) if depth < 2 else [name for name in properties if name in required]
        wanted += [name for name in required if name not in properties]
        return {name: self.value(properties.get(name, {}), name, depth + 1) for name in wanted}

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        first = [self.value(part, name, depth + 1) for part in schema.get("prefixItems", [])]
        least = schema.get("minItems", 0 if depth > 3 else 1)
        items = schema.get("items", {})
        while (
            len(first) < min(least, schema.get("maxItems", least)) and items is not False and self._left > 0
        ):
            first.append(self.value(items, name, depth + 1))
        return first

    def _number(self, schema: dict[str, Any], *, integral: bool) -> float:
        step = schema.get("multipleOf", 1 if integral else None)
        low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
        high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
        nudge = step or (1 if high - low > 2 else (high - low) / 2)
        low += nudge if "exclusiveMinimum" in schema else 0
        high -= nudge if "exclusiveMaximum" in schema else 0
        wanted = next((n for n in self._hints.numbers if low <= n <= high), min(max(1.0, low), high))
        if step:
            wanted = math.ceil(wanted / step) * step
        return int(wanted) if float(wanted).is_integer() else wanted

    def _string(self, schema: dict[str, Any], name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        hinted = self._hints.pairs.get(name) or next(iter(self._hints.names), name or "text")
        least = min(schema.get("minLength", 0), _LONGEST)
        padded = hinted if len(hinted) >= least else hinted.ljust(least, ".")
        return padded[: schema.get("maxLength", len(padded))]


def _type(schema: dict[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = (
            "null" if depth > _DEEPEST and "null" in kind else next((k for k in kind if k != "null"), "null")
        )
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _shallowest(branches: list[Any], depth: int) -> Any:
    """The branch to take: the first; deep down one that ends the recursion, if there is one."""
    if depth <= 3:
        return branches[0]
    simple = [b for b in branches if isinstance(b, dict) and b.get("type") not in ("object", "array", None)]
    return simple[0] if simple else branches[0]


def _at(root: Any, reference: Any) -> dict[str, Any]:
    """What a local `$ref` points at; an empty schema when it points nowhere."""
    found = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        if part and isinstance(found, dict):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, dict) else {}


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    return both
