"""Reads each meter the way its settings say."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from esquirell.domain.errors import EsquirellError, MeterError
from esquirell.domain.heard import Heard, Question
from esquirell.tuya.cloud.cloud import Cloud, NoCloud
from esquirell.tuya.cloud.keys import CloudKeys
from esquirell.tuya.errors import stopped
from esquirell.tuya.lan.local import Answered, LocalTransport, Transport

log = logging.getLogger(__name__)

CLOUD_THREADS = 8


class TuyaTransport(Transport):
    """Chooses between the local network and the cloud.

    With `keys`, a meter that refuses its local key is tried with that of the cloud. The cloud is
    waited for in threads of their own, which end when they are not needed.
    """

    def __init__(
        self, local: LocalTransport, cloud: Cloud | NoCloud, keys: CloudKeys | None = None
    ) -> None:
        self._local = local
        self._cloud = cloud
        self._keys = keys
        self._threads = ThreadPoolExecutor(CLOUD_THREADS, thread_name_prefix="cloud")

    def ask(self, questions: Sequence[Question], answered: Answered) -> None:
        """Ask several meters side by side; `answered` gets each answer, in any thread.

        An error is a MeterError.
        """
        local = [one for one in questions if one.meter.transport == "local"]
        if local:
            self._ask_locally(local, answered)
        for question in questions:
            if question.meter.transport == "cloud":
                self._submit(partial(self._ask_cloud, question, answered), question, answered)

    def hold(self, questions: Sequence[Question]) -> None:
        """Hold the lines of these meters from now on, and no others."""
        self._local.hold([self._with_key(question) for question in questions])

    def forget(self, meter_name: str) -> None:
        """Drop the line to a meter and what is remembered of it."""
        self._local.forget(meter_name)

    def abandon(self) -> None:
        """Let go of all lines in a forked process: they are its parent's."""
        self._local.abandon()

    def close(self) -> None:
        """Break off the reads under way, close all lines and read no more."""
        self._local.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _with_key(self, question: Question) -> Question:
        if self._keys is None:
            return question
        return replace(question, meter=self._keys.with_key(question.meter))

    def _ask_locally(self, questions: Sequence[Question], answered: Answered) -> None:
        asked = {question.meter.name: question for question in questions}

        def check(question: Question, answer: Heard | EsquirellError) -> None:
            self._check(asked[question.meter.name], answer, answered)

        self._local.ask([self._with_key(question) for question in questions], check)

    def _check(
        self, question: Question, answer: Heard | EsquirellError, answered: Answered
    ) -> None:
        """Pass an answer on, unless the key was refused and the cloud may have a newer one."""
        keys = self._keys
        if keys is None or not keys.worth_asking(question.meter, answer):
            answered(question, answer)
            return

        def retry() -> None:
            if keys.renewed(question.meter):
                self._local.ask([self._with_key(question)], lambda _, new: answered(question, new))
            else:
                answered(question, answer)

        self._submit(retry, question, answered)

    def _ask_cloud(self, question: Question, answered: Answered) -> None:
        try:
            values = self._cloud.read(question.meter, forced=question.forced)
        except MeterError as error:
            answered(question, error)
        else:
            answered(question, Heard(values))

    def _submit(self, work: Callable[[], None], question: Question, answered: Answered) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:  # who asked waits for an answer
                log.exception("unexpected error with the cloud")
                answered(question, EsquirellError(f"unexpected error: {type(error).__name__}"))

        try:
            self._threads.submit(run)
        except RuntimeError:
            answered(question, stopped(question.meter))
