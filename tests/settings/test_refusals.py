"""What is wrong in a file, and the sentence that says so."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.configuration import KEY, METER, ConfigurationFolder

from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings, environment
from esquirell.settings.files import ConfigFile
from esquirell.settings.layers import LISTS, SECTIONS, Model, known_keys
from esquirell.settings.loading import LoadState, complete, load

FETCH = "[[schedules]]\nname = 'fetch'\nevery = 60\n"
TARIFF = "[[tariffs]]\nname = 'home'\ncurrency = 'PLN'\n"

REFUSALS = [
    ("timezon = 'UTC'", "timezon is not a known key; the nearest known key is timezone"),
    ("[mqqt]\nhost = 'a'", "mqqt is not a known key; the nearest known key is mqtt"),
    (
        "[mqtt]\npasword = 'a'",
        "mqtt: pasword is not a known key; the nearest known key is password",
    ),
    ("source = 'a'", "source is not a known key; the nearest known key is worker"),
    (
        "[mqtt]\nhost = 'a'\nstate_dir = 'b'",
        (
            "mqtt: state_dir is not a key of this table: "
            "it belongs further up, before the first [section]"
        ),
    ),
    (
        METER + "adress = '192.168.1.2'",
        "meters.main: adress is not a known key; the nearest known key is address",
    ),
    (
        "[[meters]]\ndevice = 'a'",
        "meters.no. 1: device is not a known key; the nearest known key is device_id",
    ),
    (
        "[[meters]]\nname = 'main'\ndevice_id = ' '",
        "meters.main: device_id must not be empty",
    ),
    (
        f"[[meters]]\nname = 'main'\ndevice_id = '{'a' * 65}'",
        "meters.main: device_id may have at most 64 characters",
    ),
    (METER + METER, "meters.main: this name is used 2 times: it must be unique"),
    (
        METER + METER.replace('"main"', '"twin"'),
        "meters.twin: device_id is that of main: a device can be only one meter",
    ),
    (
        METER + "transport = 'cloud'",
        "meters.main: transport needs api_key and api_secret under [cloud]",
    ),
    ("[cloud]\napi_key = 'a'", "cloud: api_key and api_secret must be set together"),
    ("[cloud]\nurl = 'http://a.b'", "cloud: url must start with https:// and name a host"),
    (METER + "gateway = 'bf02'", "meters.main: gateway and cid go together"),
    (TARIFF + TARIFF, "tariffs.home: this name is used 2 times: it must be unique"),
    (TARIFF + "meters = ['x']", "tariffs.home: meters names x, which is not a configured meter"),
    (
        TARIFF + "import_prise = 1",
        "tariffs.home: import_prise is not a known key; the nearest known",
    ),
    (TARIFF + "import_price = 'a'", "tariffs.home: import_price must be a number"),
    (TARIFF + "import_price = nan", "tariffs.home: import_price must be a number"),
    (TARIFF + "fee_per_day = -1", "tariffs.home: fee_per_day must be at least 0"),
    ("[[tariffs]]\nname = 'a'", "tariffs.a: currency is missing"),
    (
        "[[tariffs]]\nname = 'a'\ncurrency = 'zł'",
        "tariffs.a: currency must be the three letters of ISO 4217",
    ),
    (TARIFF + "windows = 'night'", "tariffs.home: windows must be a list"),
    (TARIFF + "windows = ['night']", "tariffs.home: windows must be a table"),
    (
        TARIFF + "windows = [{}, {begin = '22:05'}]",
        "tariffs.home: windows no. 2: begin must be at a quarter of an hour",
    ),
    (
        TARIFF + "windows = [{end = '6 o clock'}]",
        "tariffs.home: windows no. 1: end must be a time of day",
    ),
    (
        TARIFF + "windows = [{end = '06:00+01:00'}]",
        "tariffs.home: windows no. 1: end must be a time without a zone",
    ),
    (
        TARIFF + "windows = [{valid_from = '2026-13-01'}]",
        "tariffs.home: windows no. 1: valid_from must be a date",
    ),
    (
        TARIFF + "windows = [{weekdays = ['monday']}]",
        "tariffs.home: windows no. 1: weekdays must be 'mon', 'tue'",
    ),
    (
        TARIFF + "windows = [{price = 1}]",
        "tariffs.home: windows no. 1: price is not a known key",
    ),
    (FETCH + FETCH, "schedules.fetch: this name is used 2 times: it must be unique"),
    ("timezone = 'Europe/Warsow'", "timezone is not an IANA time zone; the nearest one is "),
    ("timezone = 'Europe'", "timezone is not an IANA time zone; the nearest one is "),
    ("timezone = '../etc'", "timezone is not an IANA time zone; the nearest one is "),
    ("timezone = 2", "timezone must be text in quotes"),
    ("mqtt = 'localhost'", "mqtt must be a table: [mqtt] in a file"),
    ("[meters]\nname = 'a'", "meters must be a list of tables: [[meters]] in a file"),
    ("meters = ['a']", "meters must be a list of tables: [[meters]] in a file"),
    ("[[meters]]\nlabel = 'a'", "meters.no. 1: name is missing"),
    ("[[meters]]\nname = 'Main'", "meters.Main: name may contain only a-z, 0-9, _ and -"),
    ("[[meters]]\nname = 5", "meters.no. 1: name must be text in quotes"),
    (
        METER.replace(KEY, KEY[:-1]),
        (
            "meters.main: local_key has 15 characters, a Tuya local key has 16: copy it again, "
            "into a file of its own (local_key_file), or between single quotes"
        ),
    ),
    (
        METER.replace(f'local_key = "{KEY}"', ""),
        "meters.main: local_key is missing: give local_key or local_key_file",
    ),
    (
        METER.replace(f'"{KEY}"', "1234567890123456"),
        "meters.main: local_key must be text in quotes",
    ),
    (
        METER + "protocol = 3.4",
        "meters.main: protocol must be '3.1', '3.2', '3.3', '3.4', '3.5' or 'auto', in quotes",
    ),
    (METER + "port = 70000", "meters.main: port must be at most 65535"),
    (METER + "publish_every = -1", "meters.main: publish_every must be at least 0"),
    (METER + f"publish_every = {'9' * 30}", "meters.main: publish_every must be at most 31536000"),
    (METER + "store_every = 31536001", "meters.main: store_every must be at most 31536000"),
    (METER + "publish_every = 1.5", "meters.main: publish_every must be a whole number"),
    (
        METER + "invert = ['x']",
        'meters.main: invert must be true, false or a list of phases, such as ["b"]',
    ),
    (
        METER + "mapping_file = 'none.json'",
        "meters.main: mapping_file names none.json, which is not a file that can be read",
    ),
    ('state_dir = "a\\u0000"', "state_dir may not hold the character \\u0000"),
    ('[mqtt]\npassword_file = "a\\u0000"', "mqtt: password_file may not hold the character"),
    ("[mqtt]\nport = 0", "mqtt: port must be at least 1"),
    ("[mqtt]\nport = '18883x'", "mqtt: port must be a whole number"),
    ("[mqtt]\nhost = ''", "mqtt: host must not be empty"),
    ("[mqtt]\ntls = 'perhaps'", "mqtt: tls must be true or false"),
    ("[mqtt]\nprotocol = 5", "mqtt: protocol must be '5' or '3.1.1', in quotes"),
    ("[mqtt]\npassword = 5", "mqtt: password must be text in quotes"),
    ("[mqtt]\npassword = 'a'", "mqtt: password needs a username"),
    ("[mqtt]\nbase_topic = ''", "mqtt: base_topic must not be empty"),
    ("[mqtt]\nbase_topic = 'a/#'", "mqtt: base_topic must not contain + or #, or start "),
    ("[mqtt]\nbase_topic = '$a'", "mqtt: base_topic must not contain + or #, or start "),
    ('[mqtt]\nbase_topic = "a\\tb"', "mqtt: base_topic may contain only printable characters"),
    (f"[mqtt]\nbase_topic = '{'a' * 1001}'", "mqtt: base_topic may have at most 1000 bytes"),
    ("[mqtt]\nhost = 'mqtt://host'", "mqtt: host must be a name or an address only, without "),
    ("[mqtt]\nhost = 'host:1883'", "mqtt: host must not contain a port"),
    ("[metrics]\naddress = 'a b'", "metrics: address is not a host name or address"),
    ("[mqtt]\nbase_topic = 'a/'", "mqtt: base_topic must not start or end with /, or contain an "),
    (
        "[mqtt]\ndiscovery_prefix = 'a//b'",
        "mqtt: discovery_prefix must not start or end with /, or contain an empty level",
    ),
    (
        "[mqtt]\nca_file = 'ca.pem'",
        "mqtt: ca_file, cert_file and key_file need tls = true",
    ),
    (
        "[mqtt]\ntls = true\ncert_file = 'a.pem'",
        "mqtt: cert_file and key_file must be set together",
    ),
    (
        "[mqtt]\ntls = true\nca_file = 'ca.pem'",
        "mqtt: ca_file names ca.pem, which is not a file that can be read",
    ),
    ("[mqtt]\nca_file = 5", "mqtt: ca_file must be text in quotes"),
    (
        "[database]\nurl = 'mysql://me:geheim@db/meters'",
        "database: url must start with sqlite:/// or postgresql+psycopg://",
    ),
    (
        "[database]\nurl = 'sqlite://'",
        "database: url must start with sqlite:/// or postgresql+psycopg://",
    ),
    (
        "[database]\nurl = 'sqlite:///meters.db?timeout=5'",
        "database: url must not have options: write sqlite:/// and a path",
    ),
    (
        "[database]\nurl = 'sqlite:///:memory:'",
        "database: url must name a database file, such as sqlite:///esquirell.db",
    ),
    (
        "[database]\nurl = 'postgresql+psycopg://me:geheim@db:x/meters'",
        "database: url has an invalid host or port",
    ),
    ("[database]\nurl = 'postgresql+psycopg:///meters'", "database: url must name a host"),
    (
        "[database]\nurl = 'postgresql+psycopg://db/meters?password=geheim'",
        "database: url must not contain a password as an option: set password instead",
    ),
    ("[database]\nraw_retention = 90", 'database: raw_retention must be a time such as "90d", '),
    ("[database]\nraw_retention = '90'", 'database: raw_retention must be a time such as "90d", '),
    ("[database]\nraw_retention = '5h'", 'database: raw_retention must be at least "1d"'),
    ("[redis]\nresult_expires = 60", 'redis: result_expires must be a time such as "1h", '),
    ("[redis]\nresult_expires = '0s'", 'redis: result_expires must be a time such as "1h", '),
    ("[database]\ndurability = 'low'", "database: durability must be 'full' or 'normal', in quo"),
    (
        "[redis]\nurl = 'amqp://geheim@localhost'",
        'redis: url must be "embedded" or start with one of redis://, rediss://, unix:///, ',
    ),
    ("[redis]\nurl = 'redis://localhost:x/0'", "redis: url has an invalid host or port"),
    ("[redis]\nurl = 'redis://localhost:99999/0'", "redis: url has an invalid host or port"),
    ("[redis]\nurl = 'redis://[::1/0'", "redis: url has an invalid host or port"),
    ("[redis]\nurl = 'redis:///0'", "redis: url must name a host"),
    ("state_dir = 'esquirell.toml'", "state_dir names "),
    ("[database]\nurl = 'sqlite:////'", "database: url names /, which is a folder: name a file "),
    (
        "[mqtt]\nbase_topic = 'homeassistant'",
        "mqtt: base_topic must differ from discovery_prefix",
    ),
    ("[mqtt]\nport = true", "mqtt: port must be a number, not true or false"),
    (METER + "port = true", "meters.main: port must be a number, not true or false"),
    (METER + "store_every = true", "meters.main: store_every must be a number, not true or false"),
    (TARIFF + "import_price = true", "tariffs.home: import_price must be a number, not true or "),
    (
        METER + "address = '0.0.0.0'",
        "meters.main: address must be the address of a single device, not 0.0.0.0",
    ),
    ("[mqtt]\nhost = '224.0.0.1'", "mqtt: host must be the address of a single device, not 224.0"),
    (f"{'a' * 3000} = 1", f"{'a' * 80}… is not a known key; the nearest known key is "),
    (
        "[redis]\nurl = 'redis://localhost/0?socket_timeout=2'",
        "redis: url must not have the option socket_timeout: remove it",
    ),
    (
        "[redis]\nurl = 'rediss://localhost?ssl_cert_reqs=none'",
        "redis: url must not have the option ssl",
    ),
    (
        "[redis]\nurl = 'redis+sentinel://pi/house?protocol=3'",
        "redis: url must not have the option pr",
    ),
    (
        "[redis]\nurl = 'unix:///r.sock?health_check_interval=3'",
        "redis: url must not have the option hea",
    ),
    (
        "[redis]\nurl = 'unix:///r.sock?db=first'",
        "redis: url has an option db that is not a database number",
    ),
    (
        "[redis]\nurl = 'redis://localhost/main'",
        "redis: url must end with the number of a database, such as /0",
    ),
    (
        "[redis]\nca_file = 'ca.pem'",
        "redis: ca_file needs a url that starts with rediss://",
    ),
    (
        "[[schedules]]\nname = 'a'",
        "schedules.a: give either every (seconds) or cron (five fields)",
    ),
    ("[[schedules]]\nname = 'a'\nevery = 0", "schedules.a: every must be at least 1"),
    (
        "[[schedules]]\nname = 'a'\nevery = 5\nmeters = 'main'",
        'schedules.a: meters must be a list, such as ["a", "b"]',
    ),
    (
        METER + "[[schedules]]\nname = 'a'\nevery = 5\nmeters = ['main', 'garge']",
        "schedules.a: meters names garge, which is not a configured meter",
    ),
    (
        "[[schedules]]\nname = 'a'\ncron = '0 * * * *'\ntimezone = 'Europe/Bonn'",
        "schedules.a: timezone is not an IANA time zone; the nearest one is ",
    ),
    ("[[schedules]]\nname = 'a'\nevery = 5\nargs = 5", "schedules.a: args must be a table"),
    ("[[schedules]]\nname = 'a'\nevery = 5\ntask = ''", "schedules.a: task must not be empty"),
    (f"[[schedules]]\nname = '{'a' * 65}'\nevery = 5", f"schedules.{'a' * 65}: name may have at "),
    ("[tasks]\nmodules = ['my-house']", "tasks: modules must be names of Python modules, such "),
    ("[log]\nlevel = 'INFO'", "log: level must be 'debug', 'info', 'warning' or 'error', in quo"),
    ("[worker]\nconcurrency = 0", "worker: concurrency must be at least 1"),
    ("[flower]\nport = 123456789012345678901234567890", "flower: port must be"),
]


@pytest.mark.parametrize(("toml", "sentence"), REFUSALS)
def test_what_is_wrong_is_said_in_one_sentence(
    folder: ConfigurationFolder, toml: str, sentence: str
) -> None:
    said = folder.refusal(toml)
    assert said.startswith(f"esquirell.toml: {sentence}")
    assert "geheim" not in said


def test_a_file_of_thousands_of_brackets_is_no_toml(folder: ConfigurationFolder) -> None:
    said = folder.refusal(f"timezone = {'[' * 5000}{']' * 5000}")
    assert said.startswith("esquirell.toml is not valid TOML: ")


def test_the_error_carries_nothing_that_holds_secrets(folder: ConfigurationFolder) -> None:
    with pytest.raises(ConfigError) as caught:
        folder.load(METER + "port = 0\n")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["main", "auto", "UTC", "90d", "embedded", "redis://h/0", KEY, "a\0b"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def tables(model: Model) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(known_keys(model)), VALUES, max_size=5)


CONFIGURATIONS = st.fixed_dictionaries(
    {},
    optional={name: tables(model) | VALUES for name, model in SECTIONS.items()}
    | {name: st.lists(tables(model), max_size=2) | VALUES for name, model in LISTS.items()}
    | {"timezone": VALUES, "state_dir": VALUES},
)


def complaint(attempt: Callable[[], Settings]) -> str:
    """Return what is complained about, nothing when all is well; any other error goes on."""
    try:
        attempt()
    except ConfigError as error:
        return str(error)
    return ""


@given(CONFIGURATIONS)
def test_any_configuration_is_valid_or_a_clear_error(data: dict[str, object]) -> None:
    file = ConfigFile(Path("/nowhere/esquirell.toml"), data, exposed=True)
    said = complaint(lambda: complete(LoadState(file, [], {"TZ": "UTC"})))
    assert not said or said.startswith("/nowhere/esquirell.toml: ")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_valid_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(content)
    said = complaint(lambda: load(file, {"TZ": "UTC"}))
    assert not said or said.startswith(str(file))


@given(st.sampled_from(sorted(SECTIONS | LISTS)), st.text(st.characters(codec="utf-8")))
def test_any_variable_is_valid_or_a_clear_error(name: str, text: str) -> None:
    variable = f"ESQUIRELL_{name.upper()}"
    with pytest.raises(ConfigError, match=f"^{variable} must be "):
        environment.read({variable: f"{text}?"})
