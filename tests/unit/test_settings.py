"""Settings are read from the environment, and every invalid one is reported."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import Settings, is_loopback
from peopleinfo.settings.renamed_settings import RENAMED
from peopleinfo.settings.urls import DynamoDBUrl


def problems(environment: dict[str, str], **flags: object) -> str:
    with pytest.raises(InvalidSettings) as caught:
        Settings.load(environment, **flags)
    return str(caught.value)


def test_default_settings_serve_only_this_machine() -> None:
    settings = Settings.load({})
    assert (settings.host, settings.port, settings.workers, settings.allow_anonymous) == ("127.0.0.1", 3000, 1, False)
    assert settings.location == Path("people.db")


def test_settings_are_read_from_the_environment() -> None:
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


def test_flag_overrides_the_environment() -> None:
    environment = {"PEOPLEINFO_PORT": "4000", "PEOPLEINFO_WORKERS": "2"}
    settings = Settings.load(environment, port=5000, workers=None)
    assert (settings.port, settings.workers) == (5000, 2)


@pytest.mark.parametrize("yes", ["true", "1", "True"])
def test_boolean_setting_accepts_words_and_digits(yes: str) -> None:
    assert Settings.load({"PEOPLEINFO_ALLOW_ANONYMOUS": yes}).allow_anonymous is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"), ("PORT", "-1"), ("PORT", "http"), ("PORT", ""), ("WORKERS", "0"), ("WORKERS", "65"),
        ("WORKERS", "1.5"), ("ALLOW_ANONYMOUS", "perhaps"), ("HOST", ""), ("STORE_URL", ""), ("BODY_TIMEOUT", "0"),
        ("BODY_TIMEOUT", "nan"), ("BODY_TIMEOUT", "-1"), ("LOG_LEVEL", "loud"),
    ],
)  # fmt: skip
def test_invalid_value_is_reported_with_its_setting(name: str, value: str) -> None:
    error = problems({f"PEOPLEINFO_{name}": value})
    assert error.startswith(f"PEOPLEINFO_{name}")
    assert value in error


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("CACHE_TTL", "7200", "at most 3600"),
        ("CACHE_TTL", "0", "greater than 0"),
        ("CACHE_TTL", "long", "a number"),
        ("WORKERS", "0", "at least 1"),
        ("PORT", "x", "a whole number"),
        ("RATE_LIMIT_SHARED", "maybe", "true or false"),
        ("METRICS_AUTH", "optional", "one of required, none"),
    ],
)
def test_invalid_value_is_reported_with_the_rule_and_the_value(name: str, value: str, rule: str) -> None:
    variable = f"PEOPLEINFO_{name}"
    assert problems({variable: value}) == f"{variable} must be {rule} (got {value})"


def test_all_invalid_settings_are_reported_together() -> None:
    found = problems({"PEOPLEINFO_PORT": "x", "PEOPLEINFO_WORKERS": "0", "PEOPLEINFO_PROT": "1"})
    assert [line.split("=")[0].split(" ")[0] for line in found.split("\n")] == [
        "PEOPLEINFO_PROT",
        "PEOPLEINFO_PORT",
        "PEOPLEINFO_WORKERS",
    ]


def test_unknown_variable_is_reported() -> None:
    assert problems({"PEOPLEINFO_FLUX": "1"}) == "PEOPLEINFO_FLUX is not a setting"


def test_misspelt_variable_gets_a_suggestion() -> None:
    assert problems({"PEOPLEINFO_PROT": "1"}) == "PEOPLEINFO_PROT is not a setting; did you mean PEOPLEINFO_PORT?"


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_renamed_variable_is_rejected_with_its_new_name(old: str, new: str) -> None:
    variable = f"PEOPLEINFO_{old.upper()}"
    assert problems({variable: "1"}) == f"{variable} was renamed to PEOPLEINFO_{new.upper()}"


def test_each_renamed_setting_exists() -> None:
    assert set(RENAMED.values()) - {"api_key"} <= {field.name for field in dataclasses.fields(Settings)}


LINKS = {  # as Kubernetes injects them for the Services peopleinfo and peopleinfo-valkey
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


def test_kubernetes_service_links_are_ignored() -> None:
    assert Settings.load(LINKS) == Settings()


@pytest.mark.parametrize(
    "name",
    ["SERVICE", "PORTS", "VALKEY_PORT", "PORT_80", "PORT_80_TCP_HOST", "CACHE_SERVICE_HOSTS", "PORT_X_TCP", "HOSTS"],
)
def test_misspelt_setting_is_not_treated_as_a_service_link(name: str) -> None:
    assert f"PEOPLEINFO_{name} is not a setting" in problems({f"PEOPLEINFO_{name}": "6379"})


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.7", "people.example", "localhost.example", "127.0.0.1.example"]
)
def test_public_address_requires_keys_unless_anonymous_access_is_allowed(host: str) -> None:
    assert Settings.load({"PEOPLEINFO_HOST": host}).needs_keys
    assert not Settings.load({"PEOPLEINFO_HOST": host, "PEOPLEINFO_ALLOW_ANONYMOUS": "true"}).needs_keys


def test_admin_key_replaces_the_required_keys() -> None:
    assert not Settings.load({"PEOPLEINFO_HOST": "0.0.0.0", "PEOPLEINFO_ADMIN_KEY": "k" * 32}).needs_keys


@pytest.mark.parametrize("key", ["k" * 31, "k" * 40 + " ", "kö" * 20, "k" * 40 + "\n"])
def test_weak_or_unprintable_admin_key_is_rejected_and_not_displayed(key: str) -> None:
    found = problems({"PEOPLEINFO_ADMIN_KEY": key})
    assert found.startswith("PEOPLEINFO_ADMIN_KEY must have at least 32 printable ASCII characters")
    assert key.strip() not in found


@pytest.mark.parametrize("name", ["ADMIN_KEY", "CACHE_PASSWORD"])
def test_secret_is_not_displayed(name: str) -> None:
    assert "kkk" not in repr(Settings.load({f"PEOPLEINFO_{name}": "k" * 32}))


def test_credentials_of_the_cache_are_set_only_once() -> None:
    # pragma: allowlist nextline secret
    cache = {"PEOPLEINFO_CACHE_URL": "rediss://one:hidden@cache.example:6379", "PEOPLEINFO_CACHE_PASSWORD": "covered"}
    found = problems(cache)
    assert found.startswith("PEOPLEINFO_CACHE_URL already contains credentials")
    assert "hidden" not in found
    assert "covered" not in found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback_addresses_are_recognised(host: str) -> None:
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
def test_sqlite_store_url_is_parsed(url: str, path: str) -> None:
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
def test_dynamodb_store_url_is_parsed(url: str, location: DynamoDBUrl) -> None:
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
def test_invalid_store_url_is_rejected(url: str) -> None:
    assert problems({"PEOPLEINFO_STORE_URL": url}).startswith(f"PEOPLEINFO_STORE_URL={url} is not a store URL")


def test_every_setting_has_a_description() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata["description"].endswith(".")


def test_settings_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.load({}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "origins",
    ["app.example.org", "https://app.example.org/", "https://APP.example.org", "null", "https://*.example.org"],
)
def test_invalid_origin_is_rejected(origins: str) -> None:
    assert "CORS_ORIGINS" in problems({"PEOPLEINFO_CORS_ORIGINS": f"https://a.example,{origins}"})


@pytest.mark.parametrize("retention", ["2y", "730", "0d", "-1d", "1.5d", "730 d"])
def test_invalid_retention_period_is_rejected(retention: str) -> None:
    assert "730d" in problems({"PEOPLEINFO_RETENTION_PERIOD": retention})


def test_shared_rate_limit_requires_a_cache() -> None:
    assert "PEOPLEINFO_CACHE_URL" in problems({"PEOPLEINFO_RATE_LIMIT_SHARED": "true"})
