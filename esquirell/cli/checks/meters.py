"""The meters: their configuration, and whether they answer."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import Ledger, MeterStatus, iso
from esquirell.profiles import Choices
from esquirell.profiles.chosen import UNKNOWN
from esquirell.settings import Settings


def configured(settings: Settings, choices: Choices) -> Iterator[Finding]:
    """Check whether each meter's configuration can work."""
    for name, problem in settings.left_out.items():
        yield fault(
            f"meter {name}", problem, "correct that file, or remove it and add the meter again"
        )
    for name, problem in settings.damaged_profiles.items():
        yield fault(f"profile {name}", problem, "correct that file, or remove it")
    if not settings.meters and not settings.left_out:
        yield advice("meters", "none is configured", "add one with: esquirell meters add")
    for meter in settings.meters:
        yield _profile(meter, choices)
        yield _key(meter)


def read(meters: Sequence[Meter], choices: Choices) -> Iterator[Finding]:
    """Read each meter once, in parallel; only while no service holds their connections.

    Nothing is stored or left behind. Cloud meters are left out: each read costs a request.
    """
    from esquirell.runtime.unconfigured import local_transport  # noqa: PLC0415 - it takes long

    asked = [meter for meter in meters if meter.transport == "local" and meter.enabled]
    questions = [Question(meter, _refresh(choices, meter), forced=True) for meter in asked]
    answers: SimpleQueue[Finding] = SimpleQueue()
    with TemporaryDirectory(prefix="esquirell-doctor-") as folder:
        transport = local_transport(Path(folder))
        try:
            transport.ask(questions, lambda to, heard: answers.put(_answered(to.meter, heard)))
            for _ in questions:
                yield answers.get()
        finally:
            transport.close()


def polled(meters: Sequence[Meter], statuses: Mapping[str, MeterStatus]) -> Iterator[Finding]:
    """Report how each meter answers the running service."""
    for meter in meters:
        yield _polled(meter, statuses.get(meter.name, MeterStatus()))


def plausible(
    meters: Sequence[Meter], ledgers: Mapping[str, Ledger], disagreements: Mapping[str, str]
) -> Iterator[Finding]:
    """Report what was implausible about the last reading and the latest hours of each meter."""
    for meter in meters:
        if meter.name not in ledgers:
            continue
        check, warnings = f"meter {meter.name}: values", [*ledgers[meter.name].warnings]
        warnings += [disagreements[meter.name]] if meter.name in disagreements else []
        if not warnings:
            yield fine(check, "plausible")
        for warning in warnings:
            yield advice(check, warning, "compare with the meter's display and its profile")


def _profile(meter: Meter, choices: Choices) -> Finding:
    check = f"meter {meter.name}: profile"
    try:
        profile = choices.of(meter)
    except ConfigError as error:
        return fault(check, str(error), "correct that setting")
    if profile is UNKNOWN:
        remedy = "set product_id, mapping_file or profile to be sure"
        return advice(check, "not known yet, detected from what the meter answers", remedy)
    return fine(check, f"{profile.name}, {profile.title}")


def _key(meter: Meter) -> Finding:
    key = meter.local_key.get_secret_value()
    check = f"meter {meter.name}: local key"
    if meter.transport == "cloud":
        return fine(check, "not needed, as it is read through the cloud")
    if len(key) == LOCAL_KEY_LENGTH and key.isascii() and key.isprintable() and " " not in key:
        return fine(check, f"{LOCAL_KEY_LENGTH} characters")
    message = "it can't be a Tuya key: it contains something other than letters, digits and symbols"
    return fault(check, message, "copy it again; in a configuration write it in 'single quotes'")


def _refresh(choices: Choices, meter: Meter) -> tuple[int, ...]:
    try:
        return choices.of(meter).refresh
    except ConfigError:
        return ()  # a finding of its own


def _answered(meter: Meter, heard: RawDatapoints | EsquirellError) -> Finding:
    check = f"meter {meter.name}: reading"
    if isinstance(heard, EsquirellError):
        # The problem and its remedy are one sentence.
        message, _, remedy = str(heard).rpartition(": ")
        return fault(check, message or remedy, remedy)
    return fine(check, f"it answers with {len(heard.values)} datapoints")


def _polled(meter: Meter, status: MeterStatus) -> Finding:
    check = f"meter {meter.name}: readings"
    last = f"last read {iso(status.last_success)}" if status.last_success else "never read"
    if not status.failures:
        return fine(check, last)
    polls = f"{status.failures} failed poll{'s' * (status.failures != 1)}"
    message = f"{polls} in a row ({status.reason}), {last}"
    return fault(check, message, f"esquirell meters test {meter.name} shows more")
