"""Documents of an OpenID provider: bounded HTTP requests, and its configuration (OpenID Connect Discovery)."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from peopleinfo.errors import InvalidJson
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping

REFETCH_INTERVAL: Final = 30.0  # seconds between two fetches of a missing document or key
DOCUMENT_TTL: Final = 600.0  # seconds; a key that the provider withdrew may be accepted for so long
_TIMEOUT: Final = timedelta(seconds=5)
_MAX_SIZE: Final = 1024 * 1024  # bytes of a document
_FORM: Final = "application/x-www-form-urlencoded"


class ProviderUnavailable(Exception):
    """The provider is unavailable, or one of its documents is invalid."""


class UnexpectedStatus(ProviderUnavailable):
    """The provider responded with an error."""


async def fetch_json(
    url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the JSON object at a URL, or the response to a form. Raises ProviderUnavailable, UnexpectedStatus."""
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415 - 7 MB that only OpenID Connect needs
    from pyreqwest.exceptions import PyreqwestError  # noqa: PLC0415

    try:
        async with ClientBuilder().no_proxy().follow_redirects(enable=False).timeout(_TIMEOUT).build() as client:
            request = client.get(url)
            if form is not None:
                request = (
                    client.post(url).headers({"Content-Type": _FORM, **(headers or {})}).body_text(urlencode(form))
                )
            async with request.build_streamed() as response:
                if response.status != HTTPStatus.OK:
                    raise UnexpectedStatus(f"{url} returned status {response.status}")
                body = b""
                while len(body) <= _MAX_SIZE and (chunk := await response.body_reader.read_chunk()):
                    body += chunk
        if len(body) > _MAX_SIZE:
            raise ProviderUnavailable(f"{url} returned more than {_MAX_SIZE} bytes")
        return strict_json.decode(body, dict[str, Any])
    except (PyreqwestError, TimeoutError, InvalidJson, ValueError) as error:  # ValueError: not a URL
        raise ProviderUnavailable(str(error) or type(error).__name__) from error


async def fetch_configuration(issuer: str) -> dict[str, Any]:
    """Return the configuration of a provider. Raises ProviderUnavailable."""
    configuration = await fetch_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if configuration.get("issuer") != issuer:
        raise ProviderUnavailable("the provider's configuration has another issuer")
    return configuration


def endpoint(configuration: Mapping[str, Any], name: str) -> str:
    """Return a URL in the configuration of a provider. Raises ProviderUnavailable if it is missing or less secure than the issuer."""
    url = configuration.get(name)
    if not isinstance(url, str):
        raise ProviderUnavailable(f"the provider's configuration has no {name}")
    if configuration["issuer"].startswith("https://") and not url.startswith("https://"):
        raise ProviderUnavailable(f"the provider's {name} must start with https://")
    return url
