"""The work of each command, one method each; `command_table` assigns them."""

from collections.abc import Mapping
from typing import Any

from esquirell.domain.command import Source
from esquirell.domain.errors import CommandError
from esquirell.domain.record import record
from esquirell.domain.requests import (
    Backfill,
    EmptyPayload,
    LogLevel,
    MeterChange,
    MeterExchange,
    MeterRemoval,
    Meters,
    MeterTrial,
    NamePayload,
    NewMeter,
    NewSchedule,
    ScheduleChange,
    TaskCall,
)
from esquirell.domain.schedule import FETCH, TASK_PREFIX, long_task_name
from esquirell.domain.tasks import TaskRegistry
from esquirell.services.capture import CAPTURE_TASK
from esquirell.services.control import Control
from esquirell.services.edits import Edits
from esquirell.services.health import Health
from esquirell.services.inventory import Inventory
from esquirell.services.schedules import Schedules

FETCH_TASK = TASK_PREFIX + FETCH
BACKFILL_TASK = TASK_PREFIX + "backfill"
TEST_TASK = TASK_PREFIX + "test_meter"

Data = Mapping[str, Any]


@record
class Work:
    """The task of a job and its arguments; `schedule` if it is a run of one."""

    task: str
    kwargs: Mapping[str, Any]
    schedule: str | None = None


@record
class Handlers:
    """Carries out the commands; `source` is where the current one came from.

    Queries and changes return the data of the answer, jobs the work to do. All raise CommandError
    and UnavailableError.
    """

    edits: Edits
    schedules: Schedules
    health: Health
    tasks: TaskRegistry
    inventory: Inventory
    control: Control
    source: Source = "cli"

    def report_health(self, _: EmptyPayload) -> Data:
        """Report the health of all parts."""
        return self.health.report()

    def list_meters(self, _: EmptyPayload) -> Data:
        """List the meters."""
        return {"meters": self.health.meters()}

    def fetch(self, chosen: Meters) -> Work:
        """Read meters, store and publish their readings."""
        self.edits.check_meters(chosen.meters)
        return Work(FETCH_TASK, {} if chosen.meters is None else {"meters": list(chosen.meters)})

    def backfill(self, asked: Backfill) -> Work:
        """Fill holes in Home Assistant's long-term statistics from our hours."""
        self.edits.check_meters(asked.meters)
        return Work(
            BACKFILL_TASK,
            asked.model_dump(mode="json", exclude_unset=True, exclude={"transaction"}),
        )

    def test_meter(self, named: NamePayload) -> Work:
        """Read a meter without storing or publishing anything."""
        self.edits.check_meters([named.name])
        return Work(TEST_TASK, {"name": named.name})

    def capture_meter(self, named: NamePayload) -> Work:
        """Read a meter's raw datapoints, without identifying the device."""
        self.edits.check_meters([named.name])
        return Work(CAPTURE_TASK, {"name": named.name})

    def try_meter(self, trial: MeterTrial) -> Data:
        """Read a meter before it is added; nothing is stored or published."""
        return self.inventory.try_out(trial)

    def add_meter(self, new: NewMeter) -> Data:
        """Add a meter."""
        return self.inventory.add(new)

    def set_meter(self, change: MeterChange) -> Data:
        """Change settings of an added meter."""
        return self.inventory.change(change)

    def exchange_meter(self, exchange: MeterExchange) -> Data:
        """Replace a meter's device, keeping its name and history."""
        return self.inventory.exchange(exchange)

    def remove_meter(self, removal: MeterRemoval) -> Data:
        """Remove an added meter; its history stays unless it is to be deleted."""
        return self.inventory.remove(removal)

    def list_schedules(self, _: EmptyPayload) -> Data:
        """List the schedules."""
        return {"schedules": list(self.schedules.states().values())}

    def add_schedule(self, new: NewSchedule) -> Data:
        """Add a schedule."""
        self.tasks.get(new.task, self.source)
        self.edits.add(new)
        return self._changed(new.name)

    def set_schedule(self, change: ScheduleChange) -> Data:
        """Change fields of a schedule."""
        if change.args:
            self.tasks.get(self.edits.find(change.name).effective().task, self.source)
        self.edits.set(change)
        return self._changed(change.name)

    def enable_schedule(self, named: NamePayload) -> Data:
        """Resume a paused schedule."""
        self.edits.enable(named.name, enabled=True)
        return self._changed(named.name)

    def disable_schedule(self, named: NamePayload) -> Data:
        """Pause a schedule."""
        self.edits.enable(named.name, enabled=False)
        return self._changed(named.name)

    def reset_schedule(self, named: NamePayload) -> Data:
        """Discard the changes that users made to a schedule."""
        self.edits.reset(named.name)
        return self._changed(named.name)

    def remove_schedule(self, named: NamePayload) -> Data:
        """Remove a schedule."""
        self.edits.remove(named.name)
        self.schedules.removed(named.name)
        return {"name": named.name}

    def run_schedule(self, named: NamePayload) -> Work:
        """Run a schedule now."""
        schedule = self.edits.find(named.name).effective()
        return Work(long_task_name(schedule.task), schedule.kwargs, schedule.name)

    def list_tasks(self, _: EmptyPayload) -> Data:
        """List the tasks that can be scheduled and run."""
        return {"tasks": [task.payload() for task in self.tasks.all(self.source)]}

    def run_task(self, call: TaskCall) -> Work:
        """Run a task once."""
        task = self.tasks.get(call.task, self.source)
        return Work(task.name, task.check(call.args))

    def set_log_level(self, wanted: LogLevel) -> Data:
        """Log more or less until the service restarts."""
        self.control.change_level(wanted.level)
        return {"level": wanted.level}

    def restart(self, _: EmptyPayload) -> Data:
        """Restart the service."""
        self.control.restart()
        return {}

    def _changed(self, name: str) -> Data:
        self.schedules.changed()
        state = self.schedules.states().get(name)
        if state is None:
            raise CommandError("unknown_schedule", f"the schedule {name} was removed meanwhile")
        return state
