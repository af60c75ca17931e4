"""The services that the HTTP API and the console use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.auth.oidc_login import AuthorizationCodeFlow
    from peopleinfo.bulk.import_history import ImportHistory
    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.http.health import HasState
    from peopleinfo.http.middleware.request_limits import RateLimiter
    from peopleinfo.http.sessions import Sessions
    from peopleinfo.http.shutdown import GracefulShutdown
    from peopleinfo.matching.creation_check import NewRecords
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.merge_service import MergeService
    from peopleinfo.matching.review_queue import Review
    from peopleinfo.people.history_service import HistoryService
    from peopleinfo.people.people_list import PeopleList
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import JoinedReader, StoreMaintenance
    from peopleinfo.people.trash import Trash
    from peopleinfo.privacy.audit import AuditLog
    from peopleinfo.privacy.subject_export import PersonalDataExport
    from peopleinfo.telemetry.access_log import AccessLog
    from peopleinfo.telemetry.prometheus import Exposition


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that a server process opens once; None if a setting disables a service."""

    people: PeopleService
    people_list: PeopleList
    history: HistoryService
    matches: MatchService
    new_records: NewRecords
    merges: MergeService
    review: Review
    trash: Trash
    personal_data: PersonalDataExport
    imports: ImportTarget
    import_history: ImportHistory
    store: StoreMaintenance
    joined: JoinedReader | None = None
    cache: HasState | None = None
    authenticator: Authenticator
    sessions: Sessions
    login_flow: AuthorizationCodeFlow | None = None
    rate_limiter: RateLimiter | None = None
    audit: AuditLog | None = None
    exposition: Exposition
    access_log: AccessLog
    shutdown: GracefulShutdown
