"""A module of a user's whose import takes long, or never ends."""

from pathlib import Path
from threading import Thread

import pytest
from support.waiting import LIMIT_S, eventually

from esquirell import celery


def test_it_is_named_while_the_start_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go, module = tmp_path / "go", tmp_path / "slow_to_import.py"
    module.write_text(
        f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(celery, "LONG_IMPORT_S", 0.0)
    loader = celery.Loader(celery.app)
    start = Thread(target=loader.import_task_module, args=["slow_to_import"])
    start.start()
    try:
        eventually(lambda: "waiting for module slow_to_import" in caplog.text)
    finally:
        go.touch()
        start.join(LIMIT_S)
    assert loader.problems == {}
