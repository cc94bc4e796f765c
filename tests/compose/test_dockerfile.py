"""What the image is built from, and by which rules."""

import re
from pathlib import Path

from support.compose import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
LINES = [
    line.strip()
    for line in DOCKERFILE.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
FINAL = DOCKERFILE.split("\nFROM ")[2]


def arguments(instruction: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.split()[0] == instruction]


def test_it_ends_as_an_ordinary_user() -> None:
    assert arguments("USER") == ["esquirell"]
    assert LINES.index("USER esquirell") < LINES.index('ENTRYPOINT ["esquirell"]')


def test_nothing_is_downloaded_from_an_address_in_the_file() -> None:
    assert not arguments("ADD")
    assert not DOCKERFILE.startswith("# syntax=")
    assert "://" not in DOCKERFILE


def test_build_tools_are_not_in_the_image() -> None:
    assert "pip" not in FINAL
    assert "apt-get" not in FINAL
    assert re.findall(r"COPY --from=build", FINAL)


def test_versions_come_from_the_lock_file() -> None:
    synced = [one for one in arguments("RUN") if "uv sync" in one]
    assert synced
    assert all("--frozen" in one and "--no-dev" in one for one in synced)


def test_it_says_how_it_is_and_what_it_is() -> None:
    assert any('CMD ["esquirell", "health"]' in one for one in arguments("HEALTHCHECK"))
    labels = re.findall(r"org\.opencontainers\.image\.(\w+)=", DOCKERFILE)
    assert labels == ["title", "description", "licenses", "version", "revision"]


def test_the_version_is_that_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.+)"', project, re.MULTILINE) == re.findall(
        r"^ARG VERSION=(.+)", DOCKERFILE, re.MULTILINE
    )


def test_only_what_is_copied_is_sent_to_the_engine() -> None:
    first, *others = (ROOT / ".dockerignore").read_text().splitlines()[1:]
    assert first == "*"
    sent = {one[1:] for one in others if one.startswith("!")}
    copied = {
        Path(word).as_posix()
        for one in arguments("COPY")
        if "--from" not in one
        for word in one.split()[:-1]
    }
    assert sent == copied
    assert all((ROOT / one).exists() for one in sent)
