"""Flower's web application with our access control, history and answers."""

from typing import Any

from celery import Celery
from flower.app import Flower
from flower.inspector import Inspector
from flower.options import options
from flower.urls import settings as flower_settings
from flower.utils import prepend_url
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.web import url

from esquirell.flower.access import AccessControl, NeverFramed
from esquirell.flower.calls import HANDLERS, Revoke
from esquirell.flower.history import History
from esquirell.flower.masking import Mask

LOOK_EVERY_S = 5.0


class Site(Flower):
    """All pages; every request passes access control first."""

    def __init__(
        self, app: Celery, access: AccessControl, mask: Mask, history: History, prefix: str
    ) -> None:
        super().__init__(options=options, capp=app, events=history, **_paths(prefix))
        self.access = access
        self.add_transform(NeverFramed)
        self.mask = mask
        self.history = history
        self.inspector = MaskedInspector(mask, self.io_loop, app, options.inspect_timeout / 1000)
        below = f"/{prefix}" if prefix else ""
        ours = HANDLERS | {"revoke/(.+)": Revoke}
        self.add_handlers(
            ".*", [url(f"{below}/api/task/{at}", handler) for at, handler in ours.items()]
        )
        self._look = PeriodicCallback(self._meet_workers, LOOK_EVERY_S * 1000)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:  # noqa: ANN401 - tornado's
        """Return the handler of a request."""
        refusal = self.access.refusal(request)
        if refusal is None:
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, refusal)

    def start(self) -> None:
        """Serve until `stop`."""
        self._look.start()
        super().start()

    def _meet_workers(self) -> None:
        """Query workers that were started after Flower."""
        for name, worker in list(self.events.state.workers.items()):
            if worker.alive and name not in self.workers:
                self.update_workers(name)


class MaskedInspector(Inspector):
    """Masks secrets in what workers report about themselves and their waiting tasks."""

    def __init__(self, mask: Mask, *args: Any) -> None:  # noqa: ANN401 - Flower's
        super().__init__(*args)
        self._mask = mask

    def _on_update(self, workername: str, method: str, response: Any) -> None:  # noqa: ANN401 - JSON
        super()._on_update(workername, method, self._mask.data(response))


def _paths(prefix: str) -> dict[str, Any]:
    prefixed = ("login_url", "static_url_prefix") if prefix else ()
    return {
        **flower_settings,
        **{setting: prepend_url(flower_settings[setting], prefix) for setting in prefixed},
    }
