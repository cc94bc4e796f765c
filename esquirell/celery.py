"""The Celery app: `esquirell.celery:app`."""

import logging
import sys
from threading import Timer
from types import ModuleType

from celery import Celery
from celery.loaders.app import AppLoader

from esquirell.runtime.connections import celery_settings
from esquirell.settings import load

log = logging.getLogger(__name__)

OUR_TASKS = "esquirell.tasks"
LONG_IMPORT_S = 5.0
LONG_IMPORT = "waiting for module %s of [tasks] modules, which is still being imported"


class Loader(AppLoader):
    """Imports our tasks and those of users; a module that can't be imported costs only its tasks.

    Users' modules are also looked for in the folder of the configuration file. `problems` has a
    sentence for each that failed.
    """

    def __init__(self, app: Celery) -> None:
        super().__init__(app)
        self.problems: dict[str, str] = {}

    def import_default_modules(self) -> list[ModuleType]:
        """Import all modules with tasks. Raises ConfigError."""
        folder = load().folder
        if folder and str(folder) not in sys.path:
            sys.path.append(str(folder))
        return list(super().import_default_modules())

    def import_task_module(  # type: ignore[override]  # nobody uses what it returns
        self, module: str
    ) -> ModuleType | None:
        """Import a module with tasks; one that failed is not tried again."""
        if module in self.problems:
            return None
        patience = Timer(LONG_IMPORT_S, log.warning, (LONG_IMPORT, module))
        patience.daemon = True
        patience.start()
        try:
            return super().import_task_module(module)
        except (Exception, SystemExit) as error:  # a user's own code may raise anything
            if module == OUR_TASKS:
                raise
            log.debug("importing %s failed", module, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
            problem = f"module {module} can't be imported, so its tasks are missing: {reason}"
            self.problems[module] = problem
            log.error("%s", problem)  # noqa: TRY400 - one sentence; --debug shows the traceback
            return None
        finally:
            patience.cancel()


app = Celery("esquirell", loader=Loader, include=[OUR_TASKS], set_as_current=True)
app.add_defaults(celery_settings)
