"""Each error of the domain has a problem document, independent of the module that raises it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

import httpx
import pytest

import peopleinfo
from peopleinfo.crypto.master_key import WrongMasterKey
from peopleinfo.errors import FieldError, PeopleInfoError, StoreConfigurationError, Unavailable
from peopleinfo.http import problems
from peopleinfo.http.falcon_app import App

if TYPE_CHECKING:
    from collections.abc import Iterator

for module in pkgutil.walk_packages(peopleinfo.__path__, "peopleinfo."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

ARGUMENTS = {"int": 7, "Sequence[FieldError]": [FieldError("/a", "reason")], "Sequence[str]": ["person_name"]}
"""Annotation of a parameter → what an error takes there; "why" for any other."""


def subclasses(kind: type[PeopleInfoError]) -> Iterator[type[PeopleInfoError]]:
    """Yield a class and every class below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def new_error(kind: type[PeopleInfoError]) -> PeopleInfoError:
    """Return an error of this class."""
    if kind.__init__ is Exception.__init__:
        return kind("why")
    _, *parameters = inspect.signature(kind.__init__).parameters.values()
    required = [one for one in parameters if one.default is one.empty]
    given = {one.name: ARGUMENTS.get(str(one.annotation), "why") for one in required}
    return kind(**given)


async def response_to(error: PeopleInfoError) -> httpx.Response:
    """Return the response of a service that raises an error."""

    class Resource:
        async def on_get(self, *_: object) -> None:
            raise error

    app = App()
    problems.register(app)
    app.add_route("/", Resource())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/")


ALL = sorted(set(subclasses(PeopleInfoError)), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
async def test_error_is_reported_as_a_problem(kind: type[PeopleInfoError]) -> None:
    response = await response_to(new_error(kind))
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"].startswith("urn:peopleinfo:problem:")
    assert problem["status"] == response.status_code >= 400
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"]


@pytest.mark.parametrize("kind", [kind for kind in ALL if issubclass(kind, Unavailable | StoreConfigurationError)])
async def test_unavailable_store_is_reported_with_a_time_to_retry(kind: type[PeopleInfoError]) -> None:
    response = await response_to(new_error(kind))
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


async def test_unusable_store_is_reported_without_names_of_the_machine() -> None:
    response = await response_to(WrongMasterKey("/etc/peopleinfo/master.key"))
    assert response.json()["type"] == "urn:peopleinfo:problem:store-unavailable"
    assert "master.key" not in response.text


async def test_error_of_the_command_line_is_reported_as_a_fault_of_the_service() -> None:
    class OfACommand(PeopleInfoError):
        pass

    response = await response_to(OfACommand("Anna Schmidt"))
    assert (response.status_code, response.json()["type"]) == (500, "urn:peopleinfo:problem:internal-error")
    assert "Anna" not in response.text
