"""The texts of the page: one catalogue per language, with English as the fallback."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

DEFAULT = "en"
_FOLDER = files("esquirell.web") / "messages"


class Texts:
    """The texts of one language, by dotted keys; `{name}` in a text is filled in."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def with_own(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return these texts, overridden by those of another language."""
        return {**self._texts, **own}

    def __call__(self, key: str, **values: object) -> str:
        """Return a text. Raises KeyError for an unknown key."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def counted(self, key: str, count: int) -> str:
        """Return the text for a number of things: `key.one` or `key.other`, with `{count}`."""
        return self(f"{key}.{'one' if count == 1 else 'other'}", count=count)

    def has(self, key: str) -> bool:
        """Whether there is a text for the key."""
        return key in self._texts

    def get(self, key: str, default: str) -> str:
        """Return a text, or the default for an unknown key."""
        return self._texts.get(key, default)


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that have a catalogue."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def texts_of(language: str) -> Texts:
    """Return the texts of a language that has a catalogue."""
    own = dict(flat(tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))))
    return Texts(language, own if language == DEFAULT else texts_of(DEFAULT).with_own(own))


def best_language(accept_language: str) -> str:
    """Choose a language by the Accept-Language header (RFC 9110, section 12.5.4)."""
    wanted = sorted(_ranges(accept_language), key=lambda wish: -wish[1])
    for name, weight in wanted:
        primary = name.partition("-")[0]
        if weight > 0 and primary in languages():
            return primary
    return DEFAULT


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for part in header.split(",")[:20]:
        name, _, quality = part.strip().partition(";")
        try:
            yield name.strip().lower(), float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue


def flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return the texts of nested tables, with keys such as `nav.now`."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
