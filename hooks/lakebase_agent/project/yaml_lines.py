"""Adding to a YAML file by inserting lines, so that every other byte of it stays the same.

A round trip through a YAML library keeps comments, but not every indentation and quote. So the
file is parsed to find the places, lines are inserted there, and the result is parsed to check it.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lakebase_agent.errors import UsageError
from lakebase_agent.project.yaml_documents import load_documents, round_trip_yaml

BELOW = -1


class Insertion(NamedTuple):
    """Text to insert into a line at a column, or whole lines to insert BELOW it."""

    line: int
    column: int
    text: str


class PlaceError(UsageError):
    """Lines can't be added to a file because of how it is written; the text says which."""


def add_to_yaml(name: str, text: str, addition: Mapping[str, Any], after: str = "") -> str:
    """Return `text` with `addition` in its first document.

    Mappings are merged, new items go to the end of a list, and what exists is kept. A new key at
    the top level comes after the key `after`, if there is one. `name` is what errors call the file.
    Raises PlaceError, and UsageError if the text is not YAML.
    """
    before = load_documents(name, text)
    wanted = [_merged(before[0] if before else {}, addition), *before[1:]]
    if wanted == before:
        return text
    root = next(iter(YAML(pure=True).compose_all(text)), None)
    if not isinstance(root, MappingNode):
        raise PlaceError(f"{name} does not hold a mapping")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    insertions = _additions(root, addition, lines, after)
    result = _inserted(lines, insertions, newline)
    if not _holds(result, wanted):
        raise PlaceError(f"can't see where in {name} to add {', '.join(addition)}{_reason(text)}")
    return result


def _reason(text: str) -> str:
    """Return why a place can't be seen, if the file says so: what an anchor marks is in several."""
    aliases = {e.anchor for e in YAML(pure=True).parse(text) if isinstance(e, AliasEvent)}
    if not aliases:
        return ""
    names = ", ".join(f"*{name}" for name in sorted(aliases))
    return f": {names} repeats what is written elsewhere. Write it out in both places"


def _holds(text: str, documents: list[Any]) -> bool:
    try:
        return load_documents("the result", text) == documents
    except UsageError:
        return False


def _merged(old: Any, addition: Any) -> Any:
    if old is None:
        return addition
    if isinstance(old, dict) and isinstance(addition, Mapping):
        return {**old, **{k: _merged(old.get(k), value) for k, value in addition.items()}}
    if isinstance(old, list) and isinstance(addition, list):
        return old + [item for item in addition if item not in old]
    return old


def _additions(
    node: MappingNode, addition: Mapping[str, Any], lines: list[str], after: str = ""
) -> list[Insertion]:
    found: list[Insertion] = []
    for key, value in addition.items():
        pair = next((pair for pair in node.value if pair[0].value == key), None)
        if pair is None:
            found.append(_new_key(node, {key: value}, lines, after))
        elif _is_empty(pair[1]):
            found += _fill(pair, value, node.start_mark.column, lines)
        elif isinstance(value, Mapping) and isinstance(pair[1], MappingNode):
            found += _additions(pair[1], value, lines)
        elif isinstance(value, list) and isinstance(pair[1], SequenceNode):
            found += _new_items(pair[1], value, lines)
    return found


def _new_key(
    node: MappingNode, entry: Mapping[str, Any], lines: list[str], after: str
) -> Insertion:
    if node.flow_style:
        return _in_flow(node, [_dump_flow(entry)[1:-1]])
    place = next((pair[1] for pair in node.value if pair[0].value == after), node)
    block = _dump(entry, node.start_mark.column)
    return Insertion(_last_line(place, lines), BELOW, f"\n{block}" if after else block)


def _new_items(node: SequenceNode, items: list[Any], lines: list[str]) -> list[Insertion]:
    constructor = YAML(typ="safe", pure=True).constructor
    old = [constructor.construct_document(item) for item in node.value]
    new = [item for item in items if item not in old]
    if node.flow_style:
        return [_in_flow(node, [_dump_flow(item) for item in new])] if new else []
    line = _last_line(node, lines)
    return [Insertion(line, BELOW, _dump([item], node.start_mark.column)) for item in new]


def _in_flow(node: MappingNode | SequenceNode, texts: list[str]) -> Insertion:
    last = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    text = "".join(f", {text}" for text in texts)
    return Insertion(last.end_mark.line, last.end_mark.column, text)


def _fill(pair: tuple[Node, Node], value: Any, column: int, lines: list[str]) -> list[Insertion]:
    """Return what goes below a key without a value; an empty `[]` or `{}` is removed."""
    key, old = pair
    if not isinstance(old, ScalarNode):
        line = lines[old.start_mark.line]
        start, rest = line[: old.start_mark.column], line[old.end_mark.column :]
        lines[old.start_mark.line] = start.rstrip() + rest
    return [Insertion(key.end_mark.line, BELOW, _dump(value, column + 2))]


def _is_empty(node: Node) -> bool:
    if isinstance(node, ScalarNode):
        return bool(node.tag == "tag:yaml.org,2002:null")
    return not node.value and node.start_mark.line == node.end_mark.line


def _last_line(node: Any, lines: list[str]) -> int:
    """Return the number of the last line of `node`, without the comments below it."""
    if isinstance(node, ScalarNode):
        line: int = node.end_mark.line
        if node.style in ("|", ">") and node.end_mark.column == 0:
            line -= 1
            while not lines[line].strip():
                line -= 1
        return line
    if node.flow_style:
        return int(node.end_mark.line)
    if isinstance(node, MappingNode):
        key, value = node.value[-1]
        empty = isinstance(value, ScalarNode) and not value.value and not value.style
        return int(key.end_mark.line) if empty else _last_line(value, lines)
    return _last_line(node.value[-1], lines)


def _inserted(lines: list[str], insertions: list[Insertion], newline: str) -> str:
    lines = list(lines)
    # From the end, so that the places before stay the same; at one place the deeper is first.
    for line, column, text in sorted(insertions, key=_order, reverse=True):
        text = text.replace("\n", newline)
        if column != BELOW:
            lines[line] = lines[line][:column] + text + lines[line][column:]
        elif line == len(lines) - 1:  # the file does not end with a newline
            lines[line] += newline + text
        else:
            lines[line] += "\n" + text.removesuffix("\n")
    return "\n".join(lines)


def _order(insertion: Insertion) -> tuple[int, int, int]:
    text = insertion.text.lstrip("\n")
    return insertion.line, insertion.column, len(text) - len(text.lstrip(" "))


def _dump(value: Any, column: int) -> str:
    yaml = round_trip_yaml()
    if isinstance(value, list):  # at the top it would be indented by the offset
        yaml.indent(mapping=2, sequence=2, offset=0)
    text = io.StringIO()
    yaml.dump(value, text)
    return "".join(f"{' ' * column}{line}\n" for line in text.getvalue().splitlines())


def _dump_flow(value: Any) -> str:
    yaml = round_trip_yaml()
    yaml.default_flow_style = True
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue().removesuffix("\n").removesuffix("...").strip()
