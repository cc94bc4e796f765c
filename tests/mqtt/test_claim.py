"""Which question about a base topic a bridge answers: those of others, and nothing else."""

import json
import logging
import socket

import pytest

from esquirell.mqtt.claim import HOSTS_WARNED_ABOUT, Claim
from esquirell.mqtt.link import Message
from esquirell.mqtt.topics import Topics


def asked(**content: object) -> Message:
    return Message("esquirell/bridge/claim", json.dumps(content).encode(), retained=False)


def test_another_bridge_is_answered_with_who_is_here() -> None:
    first, second = Claim(Topics()), Claim(Topics())
    answers = [claim.reply(asked(asked_by="another", host="attic")) for claim in (first, second)]
    assert [answer and answer["host"] for answer in answers] == [socket.gethostname()] * 2
    ours = [str(answer and answer["held_by"]) for answer in answers]
    assert ours[0] != ours[1]
    # Its own question comes back to it, and is the mark of the end.
    assert first.reply(asked(asked_by=ours[0], host="here")) is None
    assert second.reply(asked(asked_by=ours[0], host="here")) == answers[1]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[" * 50_000,
        b"[]",
        b"{",
        b"\xff",
        b'"asked_by"',
        b'{"held_by": "a", "host": "attic"}',
        b"{}",
    ],
)
def test_what_is_no_question_is_not_answered(payload: bytes) -> None:
    message = Message("esquirell/bridge/claim", payload, retained=False)
    assert Claim(Topics()).reply(message) is None


def test_invented_machines_fill_neither_log_nor_memory(caplog: pytest.LogCaptureFixture) -> None:
    claim = Claim(Topics())
    for number in range(1000):
        assert claim.reply(asked(asked_by="another", host=f"{number}" * 5000)) is not None
    said = [record.message for record in caplog.records]
    assert len(said) == HOSTS_WARNED_ABOUT
    assert max(map(len, said)) < 300


def test_each_machine_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    claim = Claim(Topics())
    with caplog.at_level(logging.WARNING):
        for host in ("attic", "attic", "cellar"):
            claim.reply(asked(asked_by="another", host=host))
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert ["on attic" in said[0], "on cellar" in said[1]] == [True, True]
