"""A policy's missing prices, filled in where they belong: comments and order stay as they are."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from pydantic import ValidationError

from overspill.api.errors import InvalidPolicy
from overspill.api.policy import FrontierAPI, Price, parse_policy
from overspill.prices.table import CannotPrice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overspill.prices.table import Entry, Table

RUNGS: Final = ("hosted", "frontier")


class Edit(NamedTuple):
    """Characters of a text that are replaced."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A policy with all its prices, and what there is to say of them, a sentence each."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    path: str
    said: dict[str, Any]
    node: yaml.MappingNode


def fill(text: str, table: Table) -> Filled:
    """Return the policy with the table's price wherever one is missing.

    Raises: CannotPrice where the table has none, InvalidPolicy where the policy cannot be used.
    """
    try:
        whole, root = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError) as error:  # such as the 13th month
        reason = " ".join(str(error).split())
        raise InvalidPolicy([f"is not one YAML document ({reason}); correct it"]) from None
    except RecursionError:
        raise InvalidPolicy(["is nested too deeply to be a policy; correct it"]) from None
    edits: list[Edit] = []
    notes: list[str] = []
    faults: list[str] = []
    meant = deepcopy(whole)
    for provider in _providers(meant, root):
        model = provider.said.get("model")
        if not isinstance(model, str):
            continue  # said at the end, with all that is wrong
        try:
            entry = table.find(model, str(provider.said.get("baseURL")))
        except CannotPrice as error:
            note = f"{provider.path}.price: the table of {table.date} {error}"
            if provider.said.get("price") is None:
                faults.append(f"{note}; write the price there, or give a newer table with --table")
            else:
                notes.append(f"{note}; the price stays as it is")
            continue
        if provider.said.get("price") is None:
            price = entry.price.to_json()
            edits.append(_insertion(text, provider.node, price))
            provider.said["price"] = price
            notes.append(f"{provider.path}.price: filled in, that of {entry.model}")
        else:
            notes += _differences(provider, entry)
    if faults:
        raise CannotPrice("\n".join(faults))
    return Filled(text=_checked(_edited(text, edits), meant), notes=tuple(notes))


def _providers(whole: object, root: yaml.Node | None) -> Iterator[_Provider]:
    """Yield what may be a provider; whatever else a policy has wrong is found at its end."""
    if not isinstance(whole, dict) or not isinstance(root, yaml.MappingNode):
        raise InvalidPolicy(["is not a RoutingPolicy; give a file with a spec"])
    spec: Any = whole.get("spec", whole)
    node = _value(root, "spec") if "spec" in whole else root
    for rung in RUNGS:
        items = spec.get(rung) if isinstance(spec, dict) else None
        nodes = _value(node, rung)
        if not isinstance(items, list) or not isinstance(nodes, yaml.SequenceNode):
            continue
        for index, (said, at) in enumerate(zip(items, nodes.value, strict=True)):
            if isinstance(said, dict) and isinstance(at, yaml.MappingNode):
                yield _Provider(path=f"spec.{rung}[{index}]", said=said, node=at)


def _pair(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key, value
    return None


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    found = _pair(node, name)
    return found[1] if found else None


def _insertion(text: str, node: yaml.MappingNode, price: dict[str, Any]) -> Edit:
    """Put a price after the model, in the style of what is around it."""
    empty = _pair(node, "price")
    if empty:  # `price:` with nothing, or with null
        start, end = empty[1].start_mark.index, empty[1].end_mark.index
        space = "" if text[start - 1 : start].isspace() else " "
        return Edit(start, end, space + _flow(price))
    key, value = _pair(node, "model") or node.value[0]
    at = value.end_mark.index
    if node.flow_style:
        quoted = text[key.start_mark.index] == '"'  # JSON is YAML too, and stays JSON
        told = f'"price": {json.dumps(price)}' if quoted else f"price: {_flow(price)}"
        return Edit(at, at, f", {told}")
    at = text.find("\n", at)
    at = len(text) if at < 0 else at
    end = "\r\n" if text[at - 1 : at] == "\r" else "\n"
    at -= len(end) - 1
    return Edit(at, at, f"{end}{' ' * key.start_mark.column}price: {_flow(price)}")


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(one)}" for name, one in value.items()) + "}"
    return json.dumps(value)


def _edited(text: str, edits: list[Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _checked(text: str, meant: dict[str, Any]) -> str:
    """Return a text that says what it should. Raises: CannotPrice, InvalidPolicy."""
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        said = None
    if said != meant:
        spec = meant.get("spec", meant)
        prices = [
            f"spec.{rung}[{index}].price: {_flow(provider['price'])}"
            for rung in RUNGS
            for index, provider in enumerate(spec.get(rung) or ())
        ]
        raise CannotPrice("\n".join(["the file is written too oddly; write there:", *prices]))
    parse_policy(meant.get("spec", meant))
    return text


def _differences(provider: _Provider, entry: Entry) -> Iterator[str]:
    """Say where a price that is given is not the table's."""
    try:
        given, api = Price.model_validate(provider.said["price"]), FrontierAPI(provider.said["api"])
    except (ValidationError, ValueError, KeyError):
        return  # said at the end, with all that is wrong
    ours, theirs = _told(given, api), _told(entry.price, api)
    for name, usd in ours.items():
        if usd != theirs[name]:
            yield (
                f"{provider.path}.price.{name}: is {usd}, "
                f"the table has {theirs[name]} for {entry.model}; it stays as it is"
            )


def _told(price: Price, api: FrontierAPI) -> dict[str, str]:
    """Return what each kind of token costs in the end, whether it is given or follows."""
    cached = price.cached_input_per_m_tok
    usd = {
        "inputPerMTok": price.input_per_m_tok,
        "cachedInputPerMTok": price.input_per_m_tok if cached is None else cached,
        "cacheWritePerMTok": price.cache_write(api),
        "outputPerMTok": price.output_per_m_tok,
    }
    far = price.long_context
    long = _flow(far.to_json()) if far else "none"
    return {
        **{name: format(one.normalize(), "f") for name, one in usd.items()},
        "longContext": long,
    }
