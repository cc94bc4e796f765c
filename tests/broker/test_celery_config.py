from datetime import timedelta

import pytest
from celery import Celery
from kombu.exceptions import ContentDisallowed, SerializerNotInstalled
from kombu.serialization import dumps, loads, prepare_accept_content

from esquirell.broker.celery_config import celery_config
from esquirell.broker.connection import Address


def test_messages_and_results_are_json_and_nothing_else() -> None:
    app = Celery()
    app.conf.update(celery_config(Address("redis://127.0.0.1/0"), "UTC", timedelta(hours=1)))
    accepted = prepare_accept_content(app.conf.accept_content)
    assert app.conf.result_accept_content in {None, ("json",)}
    for serializer in ("json", "pickle", "yaml", "msgpack"):
        try:
            kind, encoding, body = dumps({"meters": ["main"]}, serializer)
        except SerializerNotInstalled:  # a serializer whose library is not installed
            continue
        if serializer == "json":
            assert loads(body, kind, encoding, accept=accepted) == {"meters": ["main"]}
        else:
            with pytest.raises(ContentDisallowed):
                loads(body, kind, encoding, accept=accepted)
