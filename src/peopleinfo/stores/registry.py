"""What a store gives to the service: people, API keys and ended sessions, which are stored in the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from peopleinfo.people.store import Store

if TYPE_CHECKING:
    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.ended_sessions import EndedSessionStore


class ServiceStore(Store, Protocol):
    """A store of people together with the credentials of those who use the service."""

    @property
    def api_keys(self) -> ApiKeyStore:
        """The API keys."""

    @property
    def ended_sessions(self) -> EndedSessionStore:
        """The sessions of the console that were ended."""
