"""Additions to a YAML file as new lines: every other byte of it stays as it is.

A round trip through a YAML library keeps comments, but not every indentation and quote. So the
file is parsed to find the places, lines are inserted there, and the result is parsed again.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lakebase_agent.errors import UsageError

Insertion = tuple[int, int, str]  # line, column, text


class PlaceError(UsageError):
    """The file is written in a way that lines can't be added to; the text says where."""


def load_documents(name: str, text: str) -> list[Any]:
    """Return the documents of a YAML text called `name`; raises UsageError when it is none."""
    try:
        return list(YAML(typ="safe", pure=True).load_all(text))
    except YAMLError as error:
        raise UsageError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def read_first_document(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file starts with; raises UsageError for any other file."""
    try:
        documents = load_documents(str(path), path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8") from error
    if not documents or not isinstance(documents[0], dict):
        raise UsageError(f"{path} does not hold a mapping")
    return documents[0]


def add_to_yaml(name: str, text: str, addition: Mapping[str, Any], after: str = "") -> str:
    """Return `text` with `addition` in its first document.

    Mappings are merged, lists get items at their end, what is there already is kept. A key that is
    new at the top comes after the key `after`, if that is there. Raises PlaceError, and UsageError
    for what is no YAML.
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
    insertions = _graft(root, addition, lines, after)
    result = _inserted(lines, insertions, newline)
    try:
        written = load_documents(name, result)
    except UsageError:
        written = []
    if written != wanted:
        raise PlaceError(f"can't see where in {name} to add {', '.join(addition)}")
    return result


def _merged(old: Any, addition: Any) -> Any:
    if old is None:
        return addition
    if isinstance(old, dict) and isinstance(addition, Mapping):
        return {**old, **{k: _merged(old.get(k), value) for k, value in addition.items()}}
    if isinstance(old, list) and isinstance(addition, list):
        return old + [item for item in addition if item not in old]
    return old


def _graft(
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
            found += _graft(pair[1], value, lines)
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
    return _last_line(place, lines), -1, f"\n{block}" if after else block


def _new_items(node: SequenceNode, items: list[Any], lines: list[str]) -> list[Insertion]:
    held = YAML(typ="safe", pure=True)
    old = [held.constructor.construct_document(item) for item in node.value]
    new = [item for item in items if item not in old]
    if node.flow_style:
        return [_in_flow(node, [_dump_flow(item) for item in new])] if new else []
    line = _last_line(node, lines)
    return [(line, -1, _dump([item], node.start_mark.column)) for item in new]


def _in_flow(node: MappingNode | SequenceNode, texts: list[str]) -> Insertion:
    last = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    return last.end_mark.line, last.end_mark.column, "".join(f", {text}" for text in texts)


def _fill(pair: tuple[Node, Node], value: Any, column: int, lines: list[str]) -> list[Insertion]:
    """Return what goes below a key without a value, or with an empty `[]` or `{}`."""
    key, old = pair
    if not isinstance(old, ScalarNode):
        line = lines[old.start_mark.line]
        start, rest = line[: old.start_mark.column], line[old.end_mark.column :]
        lines[old.start_mark.line] = start.rstrip() + rest
    return [(key.end_mark.line, -1, _dump(value, column + 2))]


def _is_empty(node: Node) -> bool:
    if isinstance(node, ScalarNode):
        return bool(node.tag == "tag:yaml.org,2002:null")
    return not node.value and node.start_mark.line == node.end_mark.line


def _last_line(node: Any, lines: list[str]) -> int:
    """Return the last line with something of `node` on it: comments below it are not its own."""
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
    # From the end, so that the places before it stay true; two at one place in their order.
    places = range(len(insertions))
    for place in sorted(places, key=lambda p: insertions[p][:2], reverse=True):
        line, column, text = insertions[place]
        text = text.replace("\n", newline)
        if column >= 0:
            lines[line] = lines[line][:column] + text + lines[line][column:]
        elif line == len(lines) - 1:  # the file does not end with a newline
            lines[line] += newline + text
        else:
            lines[line] += "\n" + text.removesuffix("\n")
    return "\n".join(lines)


def _dump(value: Any, column: int) -> str:
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    # A sequence at the top would be indented by the offset.
    if isinstance(value, list):
        yaml.indent(mapping=2, sequence=2, offset=0)
    text = io.StringIO()
    yaml.dump(value, text)
    return "".join(f"{' ' * column}{line}\n" for line in text.getvalue().splitlines())


def _dump_flow(value: Any) -> str:
    yaml = YAML()
    yaml.width = 4096
    yaml.default_flow_style = True
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue().removesuffix("\n").removesuffix("...").strip()
