"""The compose files as Compose reads them: variables filled in, merge keys resolved."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "compose.host.yml", "compose.shared.yml", "compose.worker.yml")

# ${NAME:-default}, innermost first, and ${NAME:?what to do} or ${NAME}.
_DEFAULT = re.compile(r"\$\{(\w+):-([^{}]*)\}")
_NEEDED = re.compile(r"\$\{(\w+)(?::\?[^{}]*)?\}")


class Loader(yaml.SafeLoader):
    """YAML with the two tags that Compose adds."""


def _override(loader: Loader, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


Loader.add_constructor("!override", _override)
Loader.add_constructor("!reset", _override)


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)", text))


def load(name: str) -> dict[str, Any]:
    text, before = text_of(name), ""
    while text != before:
        before, text = text, _DEFAULT.sub(r"\2", text)
    found: dict[str, Any] = yaml.load(_NEEDED.sub("10.8.0.1", text), Loader)  # noqa: S506 - a SafeLoader
    return found
