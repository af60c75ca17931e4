"""The interface of a store for the service: records, API keys and ended sessions, which are stored in the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from peopleinfo.people.store import Store

if TYPE_CHECKING:
    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.auth.ended_sessions import EndedSessionStore


class ServiceStore(Store, Protocol):
    """A store of person records together with the credentials of its clients."""

    @property
    def api_keys(self) -> ApiKeyStore:
        """The store of API keys."""

    @property
    def ended_sessions(self) -> EndedSessionStore:
        """The store of ended console sessions."""
