"""The route table of the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.http.api_docs import DocsResource, OpenApiResource
from peopleinfo.http.batch import BatchGetResource, BatchResource
from peopleinfo.http.changes import ChangesResource
from peopleinfo.http.checked_creation import CheckedCreation
from peopleinfo.http.cursors import ChangeTokens, Cursors
from peopleinfo.http.exports import ExportResource
from peopleinfo.http.fhir import CapabilityResource, PatientMatchResource, PatientResource, PatientsResource
from peopleinfo.http.health import MetricsResource, StatusResource
from peopleinfo.http.history import HistoryResource, RestoreResource, VersionResource
from peopleinfo.http.identifier_filters import IdentifierFilters
from peopleinfo.http.import_history import ImportEntryResource, ImportsResource, ImportUndoResource
from peopleinfo.http.import_preview import ImportPreviewResource
from peopleinfo.http.imports import ImportResource, reader_threads
from peopleinfo.http.legacy import DataResource
from peopleinfo.http.match import DuplicatesResource, MatchResource
from peopleinfo.http.merges import MergeResource, MergesResource, PersonMergesResource, UndoResource
from peopleinfo.http.people import PeopleResource, PersonExportResource, PersonResource
from peopleinfo.http.people_list import CountResource, LettersResource
from peopleinfo.http.review_queue import DuplicatePairResource, DuplicateQueueResource
from peopleinfo.http.trash import TrashedPersonResource, TrashResource
from peopleinfo.telemetry.store_health import Health

if TYPE_CHECKING:
    from peopleinfo.http.falcon_app import App
    from peopleinfo.http.services import Services


def add_people_routes(app: App, services: Services, *, body_timeout: float) -> None:
    """Add the routes of the people API and of the legacy API."""
    people, imports = services.people, services.imports
    cursors, tokens = Cursors(imports.secret), ChangeTokens(imports.secret)
    checked = CheckedCreation(people, services.new_records)
    people_resource = PeopleResource(people, services.people_list, cursors, checked, body_timeout=body_timeout)
    app.add_route("/v1/people", people_resource)
    app.add_route("/v1/people/search", people_resource, suffix="search")
    app.add_route(
        "/v1/people/count", CountResource(services.people_list, IdentifierFilters(people), body_timeout=body_timeout)
    )
    app.add_route("/v1/people/letters", LettersResource(services.people_list))
    limiter = services.rate_limiter
    app.add_route("/v1/people/batch-get", BatchGetResource(people, limiter, services.joined, body_timeout=body_timeout))
    app.add_route("/v1/people/batch", BatchResource(people, limiter, body_timeout=body_timeout))
    threads = reader_threads()
    app.add_route("/v1/people/import", ImportResource(imports, threads, body_timeout=body_timeout))
    app.add_route("/v1/people/import/preview", ImportPreviewResource(imports, threads, body_timeout=body_timeout))
    app.add_route("/v1/imports", ImportsResource(services.import_history, cursors))
    app.add_route("/v1/imports/{import_id}", ImportEntryResource(services.import_history))
    app.add_route("/v1/imports/{import_id}/undo", ImportUndoResource(services.import_history))
    app.add_route("/v1/people/export", ExportResource(people, services.history, tokens, body_timeout=body_timeout))
    merges = services.merges
    app.add_route("/v1/people/{person_id}", PersonResource(people, merges, body_timeout=body_timeout))
    app.add_route("/v1/people/{person_id}/merges", PersonMergesResource(merges))
    app.add_route("/v1/merges", MergesResource(merges, body_timeout=body_timeout))
    app.add_route("/v1/merges/{merge_id}", MergeResource(merges))
    app.add_route("/v1/merges/{merge_id}/undo", UndoResource(merges, body_timeout=body_timeout))
    app.add_route("/v1/people/{person_id}/export", PersonExportResource(services.personal_data))
    app.add_route("/v1/people/{person_id}/history", HistoryResource(services.history, cursors))
    app.add_route("/v1/people/{person_id}/history/{version}", VersionResource(services.history))
    app.add_route("/v1/people/{person_id}/restore", RestoreResource(services.history, body_timeout=body_timeout))
    app.add_route("/v1/people/match", MatchResource(services.matches, people, body_timeout=body_timeout))
    app.add_route("/v1/people/{person_id}/duplicates", DuplicatesResource(services.matches))
    app.add_route("/v1/trash", TrashResource(services.trash, cursors))
    trashed = TrashedPersonResource(services.trash)
    app.add_route("/v1/trash/{person_id}", trashed)
    app.add_route("/v1/trash/{person_id}/restore", trashed, suffix="restore")
    app.add_route("/v1/duplicates", DuplicateQueueResource(services.review, cursors))
    app.add_route("/v1/duplicates/{pair}", DuplicatePairResource(services.review, body_timeout=body_timeout))
    app.add_route("/v1/changes", ChangesResource(services, tokens))
    app.add_route("/data", DataResource(people, cursors, body_timeout=body_timeout))


def add_fhir_routes(app: App, services: Services, *, body_timeout: float) -> None:
    """Add the routes of the FHIR facade."""
    people = services.people
    patients = PatientsResource(people, Cursors(services.imports.secret), body_timeout=body_timeout)
    app.add_route("/fhir/metadata", CapabilityResource())
    app.add_route("/fhir/Patient", patients)
    app.add_route("/fhir/Patient/_search", patients, suffix="search")
    app.add_route("/fhir/Patient/$match", PatientMatchResource(services.matches, people, body_timeout=body_timeout))
    app.add_route("/fhir/Patient/{person_id}", PatientResource(people, services.merges))


def add_operations_routes(app: App, services: Services) -> None:
    """Add the health checks, the metrics and the documentation."""
    status = StatusResource(Health(services.store.check), services.shutdown, services.audit, services.cache)
    app.add_route("/status", status)
    app.add_route("/status/ready", status)
    app.add_route("/status/live", status, suffix="live")
    app.add_route("/metrics", MetricsResource(services.exposition, services.access_log))
    app.add_route("/openapi.json", OpenApiResource())
    docs = DocsResource()
    app.add_route("/docs", docs)
    app.add_route("/docs/{name}", docs, suffix="asset")
