"""Tasks sent through Flower's API: arguments checked, results masked."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from flower.api.tasks import BaseTaskHandler, TaskApply, TaskAsyncApply, TaskResult, TaskSend
from tornado.web import HTTPError

from esquirell.domain.errors import CommandError
from esquirell.domain.tasks import registry

Arguments = tuple[Sequence[Any], Mapping[str, Any], dict[str, Any]]


class MaskedTask(BaseTaskHandler):
    """Masks secrets in an answer."""

    def write(self, chunk: Any) -> None:  # noqa: ANN401 - JSON
        """Write an answer without its secrets."""
        super().write(self.application.mask.data(chunk))


class CheckedTask(MaskedTask):
    """Rejects invalid arguments, like every other way to run a task."""

    def get_task_args(self) -> Arguments:
        """Return the arguments that were sent, and the options. Raises HTTPError."""
        args, kwargs, options = super().get_task_args()
        self._check(self.path_args[0], args, kwargs)
        return args, kwargs, options

    def _check(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if registry.is_out_of_reach(name):
            raise HTTPError(403, f"{name} is marked as private by its author")
        task = self.capp.tasks.get(name)
        if task is None:
            return  # one that only workers know
        try:
            registry.get(name).check(
                _named(list(inspect.signature(task.run).parameters), args, kwargs)
            )
        except CommandError as error:
            if error.code != "unknown_task":
                raise HTTPError(400, str(error).replace("%", "%%")) from None


def _named(
    names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return positional arguments by their names, beside the others."""
    if len(args) > len(names):
        raise CommandError("invalid_payload", f"{len(args)} arguments are too many")
    return dict(zip(names, args, strict=False)) | dict(kwargs)


class Apply(CheckedTask, TaskApply):
    """Sends a task and waits for its end."""


class AsyncApply(CheckedTask, TaskAsyncApply):
    """Sends a task that is known here."""


class Send(CheckedTask, TaskSend):
    """Sends a task by its name."""


class Result(MaskedTask, TaskResult):
    """Shows the result of a task."""


HANDLERS = {
    "apply/(.+)": Apply,
    "async-apply/(.+)": AsyncApply,
    "send-task/(.+)": Send,
    "result/(.+)": Result,
}
