"""The account in Tuya's cloud: whether its request limits suffice for the schedules."""

from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.runtime.root import Runtime

_DAY_S = 86400


def budget(runtime: Runtime) -> Finding:
    """Check how many requests were used, and whether the schedules need more than allowed."""
    settings, spent = runtime.settings.cloud, runtime.devices.requests_spent()
    message = (
        f"{spent.today} of {settings.requests_per_day or 'any number of'} requests today, "
        f"{spent.this_month} of {settings.requests_per_month or 'any number of'} this month"
    )
    if _used_up(spent.today, settings.requests_per_day) or _used_up(
        spent.this_month, settings.requests_per_month
    ):
        remedy = "read cloud meters less often, or raise the limits under [cloud]"
        return fault("cloud", f"{message}: used up", remedy)
    needed = _needed(runtime)
    if settings.requests_per_day and needed > settings.requests_per_day:
        remedy = "give cloud meters a schedule of their own, such as every = 300"
        return advice("cloud", f"{message}; the schedules need {needed} a day", remedy)
    return fine("cloud", message)


def _used_up(spent: int, limit: int) -> bool:
    return bool(limit) and spent >= limit


def _needed(runtime: Runtime) -> int:
    """Count the requests per day that the schedules in the file make."""
    cloud = {meter.name for meter in runtime.meters() if meter.transport == "cloud"}
    return sum(
        _DAY_S // schedule.every * len(cloud & set(schedule.meters or cloud))
        for schedule in runtime.settings.schedules
        if schedule.every and schedule.enabled
    )
