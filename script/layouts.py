"""Write esquirell/profiles/layouts.json: which datapoints the metering products of the field have.

The facts (DP id, code, type, unit, scale, bounds, product ids) come from the schemas in the npm
package iobroker.tuya; none of its code or texts is taken. Needs npm.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from esquirell.domain.inference import Specified, infer, specified

PACKAGE, VERSION, LICENCE = "iobroker.tuya", "3.18.2", "MIT, Ingo Fischer"
SHA256 = "94999ae996ebbc3a6834c85fed3e6908b0b4bb1c2c0890164a259fe31896e3f7"
SCHEMAS = "package/lib/schema.json"
FILE = Path(__file__).parent.parent / "esquirell" / "profiles" / "layouts.json"
# A list of choices longer than this tells nothing of a device.
MOST_CHOICES = 24

Row = tuple[Any, ...]


def main() -> None:
    """Fetch the package, read its schemas and write the file."""
    layouts: dict[tuple[Row, ...], list[str]] = defaultdict(list)
    for product, rows, measures in sorted(products()):
        if measures:
            layouts[rows].append(product)
    text = _written(layouts)
    FILE.write_text(text, encoding="utf-8")
    count = sum(map(len, layouts.values()))
    sys.stdout.write(
        f"{FILE.name}: {len(layouts)} layouts of {count} products, {len(text)} bytes\n"
    )


def products() -> Iterator[tuple[str, tuple[Row, ...], bool]]:
    """Return all products with their datapoints by DP id, and whether one measures electricity."""
    for product, entry in _schemas().items():
        entries = json.loads(entry["schema"])
        rows = tuple(sorted({_row(one) for one in entries if "code" in one}, key=_order))
        yield product, rows, _measures(rows)


def _schemas() -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]  # found on PATH
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (package,) = Path(folder).glob("*.tgz")
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        if digest != SHA256:
            raise SystemExit(f"{PACKAGE} {VERSION} has the digest {digest}, not {SHA256}")
        with tarfile.open(package) as archive:
            member = archive.extractfile(SCHEMAS)
            assert member is not None  # noqa: S101 - the digest says that it is there
            found: Mapping[str, Any] = json.load(member)
            return found


def _row(entry: Mapping[str, Any]) -> Row:
    """Return a datapoint as the file has it: id, code, type, then what that type has."""
    rules = entry.get("property") or {}
    kind = str(rules.get("type") or entry.get("type") or "")
    head = (entry["id"], entry["code"], kind)
    if kind == "value":
        bounds = (rules.get("scale") or 0, rules.get("min"), rules.get("max"))
        return (*head, (rules.get("unit") or "").strip(), *bounds)
    choices = tuple(map(str, rules.get("range") or ()))
    return (*head, *choices) if kind == "enum" and len(choices) <= MOST_CHOICES else head


def _order(row: Row) -> tuple[int, str]:
    return row[0], json.dumps(row)


def _measures(rows: tuple[Row, ...]) -> bool:
    described = specified([_described(row) for row in rows])
    return infer(described, {}).measures_electricity or any(map(_is_increment, described))


def _is_increment(point: Specified) -> bool:
    return point.code.startswith("add_ele")


def _described(row: Row) -> dict[str, Any]:
    dp, code, kind, *rest = row
    values: dict[str, Any] = {}
    if kind == "value":
        values = dict(zip(("unit", "scale", "min", "max"), rest, strict=True))
    return {"dp_id": dp, "code": code, "type": kind, "values": values}


def _written(layouts: Mapping[tuple[Row, ...], list[str]]) -> str:
    """Lay the file out: one datapoint a line, then one layout a line, so that changes show."""
    rows = sorted({row for layout in layouts for row in layout}, key=_order)
    at = {row: index for index, row in enumerate(rows)}
    lines = [
        _line({"datapoints": [at[row] for row in layout], "products": products})
        for layout, products in layouts.items()
    ]
    head = {"source": f"npm {PACKAGE} {VERSION}, lib/schema.json", "licence": LICENCE}
    return (
        _line(head)[:-1]
        + ',"datapoints": [\n'
        + ",\n".join(_line(row) for row in rows)
        + '\n],"layouts": [\n'
        + ",\n".join(lines)
        + "\n]}\n"
    )


def _line(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
