"""The settings are read from the environment, and every wrong one is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from peopleinfo.settings import RENAMED, InvalidSettings, Settings, is_loopback
from peopleinfo.settings.urls import DynamoDBUrl


def problems(environment: dict[str, str], **flags: object) -> str:
    with pytest.raises(InvalidSettings) as refused:
        Settings.load(environment, **flags)
    return str(refused.value)


def test_without_any_setting_it_serves_here_alone() -> None:
    settings = Settings.load({})
    assert (settings.host, settings.port, settings.workers, settings.allow_anonymous) == ("127.0.0.1", 3000, 1, False)
    assert settings.location == Path("people.db")


def test_the_environment_is_read() -> None:
    settings = Settings.load(
        {
            "PEOPLEINFO_HOST": "::1",
            "PEOPLEINFO_PORT": "0",
            "PEOPLEINFO_WORKERS": "4",
            "PEOPLEINFO_STORE_URL": "sqlite:////srv/people.db",
            "PEOPLEINFO_BODY_TIMEOUT": "1.5",
            "PEOPLEINFO_LOG_LEVEL": "debug",
            "PATH": "/bin",
        }
    )
    assert (settings.host, settings.port, settings.workers) == ("::1", 0, 4)
    assert settings.location == Path("/srv/people.db")
    assert (settings.body_timeout, settings.log_level) == (1.5, "debug")


def test_a_flag_comes_before_the_environment() -> None:
    environment = {"PEOPLEINFO_PORT": "4000", "PEOPLEINFO_WORKERS": "2"}
    settings = Settings.load(environment, port=5000, workers=None)
    assert (settings.port, settings.workers) == (5000, 2)


@pytest.mark.parametrize("yes", ["true", "1", "True"])
def test_a_switch_is_said_in_words_or_figures(yes: str) -> None:
    assert Settings.load({"PEOPLEINFO_ALLOW_ANONYMOUS": yes}).allow_anonymous is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"), ("PORT", "-1"), ("PORT", "http"), ("PORT", ""), ("WORKERS", "0"), ("WORKERS", "65"),
        ("WORKERS", "1.5"), ("ALLOW_ANONYMOUS", "perhaps"), ("HOST", ""), ("STORE_URL", ""), ("BODY_TIMEOUT", "0"),
        ("BODY_TIMEOUT", "nan"), ("BODY_TIMEOUT", "-1"), ("LOG_LEVEL", "loud"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_setting(name: str, value: str) -> None:
    assert problems({f"PEOPLEINFO_{name}": value}).startswith(f"PEOPLEINFO_{name}={value}: ")


def test_every_wrong_setting_is_named_at_once() -> None:
    found = problems({"PEOPLEINFO_PORT": "x", "PEOPLEINFO_WORKERS": "0", "PEOPLEINFO_PROT": "1"})
    assert [line.split("=")[0].split(" ")[0] for line in found.split("\n")] == [
        "PEOPLEINFO_PROT",
        "PEOPLEINFO_PORT",
        "PEOPLEINFO_WORKERS",
    ]


def test_a_variable_that_is_no_setting_is_named() -> None:
    assert problems({"PEOPLEINFO_FLUX": "1"}) == "PEOPLEINFO_FLUX is not a setting"


def test_misspelt_variable_gets_a_suggestion() -> None:
    assert problems({"PEOPLEINFO_PROT": "1"}) == "PEOPLEINFO_PROT is not a setting; did you mean PEOPLEINFO_PORT?"


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_renamed_variable_is_refused_with_its_new_name(old: str, new: str) -> None:
    variable = f"PEOPLEINFO_{old.upper()}"
    assert problems({variable: "1"}) == f"{variable} was renamed to PEOPLEINFO_{new.upper()}"


def test_each_renamed_setting_exists() -> None:
    assert set(RENAMED.values()) - {"api_key"} <= {field.name for field in dataclasses.fields(Settings)}


LINKS = {  # as Kubernetes makes them for the Services peopleinfo and peopleinfo-valkey
    "PEOPLEINFO_SERVICE_HOST": "10.96.0.7",
    "PEOPLEINFO_SERVICE_PORT": "80",
    "PEOPLEINFO_SERVICE_PORT_HTTP": "80",
    "PEOPLEINFO_PORT": "tcp://10.96.0.7:80",
    "PEOPLEINFO_PORT_80_TCP": "tcp://10.96.0.7:80",
    "PEOPLEINFO_PORT_80_TCP_PROTO": "tcp",
    "PEOPLEINFO_PORT_80_TCP_PORT": "80",
    "PEOPLEINFO_PORT_80_TCP_ADDR": "10.96.0.7",
    "PEOPLEINFO_VALKEY_SERVICE_HOST": "fd00::7",
    "PEOPLEINFO_VALKEY_SERVICE_PORT": "6379",
    "PEOPLEINFO_VALKEY_SERVICE_PORT_BUS_2": "16379",
    "PEOPLEINFO_VALKEY_PORT": "udp://[fd00::7]:6379",
    "PEOPLEINFO_VALKEY_PORT_6379_UDP": "udp://[fd00::7]:6379",
    "PEOPLEINFO_VALKEY_PORT_6379_UDP_ADDR": "fd00::7",
    "PEOPLEINFO_VALKEY_PORT_16379_SCTP_PROTO": "sctp",
}


def test_links_of_kubernetes_services_are_no_settings() -> None:
    assert Settings.load(LINKS) == Settings()


@pytest.mark.parametrize(
    "name",
    ["SERVICE", "PORTS", "VALKEY_PORT", "PORT_80", "PORT_80_TCP_HOST", "CACHE_SERVICE_HOSTS", "PORT_X_TCP", "HOSTS"],
)
def test_misspelt_setting_is_not_taken_for_a_link(name: str) -> None:
    assert f"PEOPLEINFO_{name} is not a setting" in problems({f"PEOPLEINFO_{name}": "6379"})


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.7", "people.example", "localhost.example", "127.0.0.1.example"]
)
def test_another_address_than_loopback_needs_keys_unless_it_is_said_aloud(host: str) -> None:
    assert Settings.load({"PEOPLEINFO_HOST": host}).needs_keys
    assert not Settings.load({"PEOPLEINFO_HOST": host, "PEOPLEINFO_ALLOW_ANONYMOUS": "true"}).needs_keys


def test_with_an_admin_key_no_other_is_needed() -> None:
    assert not Settings.load({"PEOPLEINFO_HOST": "0.0.0.0", "PEOPLEINFO_ADMIN_KEY": "k" * 32}).needs_keys


@pytest.mark.parametrize("key", ["k" * 31, "k" * 40 + " ", "kö" * 20, "k" * 40 + "\n"])
def test_an_admin_key_that_could_be_guessed_or_not_be_sent_is_refused_and_not_repeated(key: str) -> None:
    found = problems({"PEOPLEINFO_ADMIN_KEY": key})
    assert found.startswith("PEOPLEINFO_ADMIN_KEY must have at least 32 printable ASCII characters")
    assert key.strip() not in found


@pytest.mark.parametrize("name", ["ADMIN_KEY", "CACHE_PASSWORD"])
def test_a_secret_is_not_shown(name: str) -> None:
    assert "kkk" not in repr(Settings.load({f"PEOPLEINFO_{name}": "k" * 32}))


def test_the_cache_has_one_user() -> None:
    # pragma: allowlist nextline secret
    cache = {"PEOPLEINFO_CACHE_URL": "rediss://one:hidden@cache.example:6379", "PEOPLEINFO_CACHE_PASSWORD": "covered"}
    found = problems(cache)
    assert found.startswith("PEOPLEINFO_CACHE_URL already contains credentials")
    assert "hidden" not in found
    assert "covered" not in found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_only_this_machine_reaches_a_loopback_address(host: str) -> None:
    assert is_loopback(host)
    assert not Settings.load({"PEOPLEINFO_HOST": host}).needs_keys


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///people.db", "people.db"),
        ("sqlite:///data/people.db", "data/people.db"),
        ("sqlite:///../people.db", "../people.db"),
        ("sqlite:////srv/people.db", "/srv/people.db"),
    ],
)
def test_a_store_is_named_by_a_url(url: str, path: str) -> None:
    assert Settings.load({"PEOPLEINFO_STORE_URL": url}).location == Path(path)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("dynamodb://eu-west-1/PeopleInfo", DynamoDBUrl("eu-west-1", "PeopleInfo")),
        (
            "dynamodb://eu-west-1/People?endpoint=http://127.0.0.1:8000&shards=4",
            DynamoDBUrl("eu-west-1", "People", "http://127.0.0.1:8000", 4),
        ),
        ("dynamodb://eu-west-1/People?timeout=60", DynamoDBUrl("eu-west-1", "People", timeout=60)),
    ],
)
def test_a_table_is_named_by_a_url(url: str, location: DynamoDBUrl) -> None:
    assert Settings.load({"PEOPLEINFO_STORE_URL": url}).location == location


@pytest.mark.parametrize(
    "url",
    [
        "people.db", "/srv/people.db", "sqlite", "sqlite://people.db", "sqlite://", "sqlite:///",
        "sqlite:////", "postgres:///people", "file:///people.db", "sqlite:///people.db?mode=ro", "sqlite:///people#1.db",
        "dynamodb://People", "dynamodb:///People", "dynamodb://eu-west-1/a/b", "dynamodb://eu-west-1/a?port=1",
        "dynamodb://eu-west-1/a?endpoint=127.0.0.1:8000", "dynamodb://eu-west-1/a?shards=0", "dynamodb://eu-west-1/a?shards=65",
        "dynamodb://eu-west-1/a?timeout=0", "dynamodb://eu-west-1/a?timeout=61", "dynamodb://eu-west-1/a?timeout=1.5",
    ],
)  # fmt: skip
def test_a_store_that_is_not_understood_is_refused(url: str) -> None:
    assert problems({"PEOPLEINFO_STORE_URL": url}).startswith(f"PEOPLEINFO_STORE_URL={url} is not a store URL")


def test_every_setting_is_described() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata["description"].endswith(".")


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.load({}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "origins",
    ["app.example.org", "https://app.example.org/", "https://APP.example.org", "null", "https://*.example.org"],
)
def test_what_is_no_origin_is_refused(origins: str) -> None:
    assert "CORS_ORIGINS" in problems({"PEOPLEINFO_CORS_ORIGINS": f"https://a.example,{origins}"})


@pytest.mark.parametrize("retention", ["2y", "730", "0d", "-1d", "1.5d", "730 d"])
def test_what_is_no_number_of_days_is_refused(retention: str) -> None:
    assert "730d" in problems({"PEOPLEINFO_RETENTION_PERIOD": retention})


def test_limits_are_shared_through_a_cache() -> None:
    assert "PEOPLEINFO_CACHE_URL" in problems({"PEOPLEINFO_RATE_LIMIT_SHARED": "true"})
