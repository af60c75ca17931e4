"""Every figure of the service, in one place. A label never holds what a client sent, and its values are few."""

from __future__ import annotations

from typing import Final

from peopleinfo.telemetry.instruments import Counter, Gauge, Histogram, Metric

# Seconds. A read takes well under a millisecond, a durable write a few; the last ones are for a store in trouble.
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHORT: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

REQUESTS: Final = Counter("peopleinfo_http_requests_total", "Requests answered.", "route", "method", "status")
REQUEST_SECONDS: Final = Histogram(
    "peopleinfo_http_request_duration_seconds",
    "Time from a request's headers to its answer, of a stream to its end.",
    "route",
    "method",
    bounds=_SECONDS,
)
SENT_BYTES: Final = Counter("peopleinfo_http_response_bytes_total", "Bytes of the bodies of answers.", "route")
IN_FLIGHT: Final = Gauge("peopleinfo_http_requests_in_flight", "Requests being answered.")
CUT: Final = Counter(
    "peopleinfo_http_connections_aborted_total",
    "Connections that the server closed: limit (too many connections), header_timeout (no request in time), write_timeout (the client did not read the response in time).",
    "reason",
)
CONNECTIONS: Final = Gauge("peopleinfo_http_connections", "Connections that are open.")

STORE_SECONDS: Final = Histogram(
    "peopleinfo_store_operation_duration_seconds",
    "Time that the store took, whatever came of it.",
    "operation",
    bounds=_SECONDS,
)
STORE_ERRORS: Final = Counter(
    "peopleinfo_store_errors_total",
    "Operations that the store could not do: unavailable, outcome_unknown (a write that may have been done), unexpected.",
    "operation",
    "error",
)
STORE_UP: Final = Gauge("peopleinfo_store_up", "Whether the store said last that it can serve: 1 or 0.", together=min)
SQLITE_WAITING: Final = Gauge(
    "peopleinfo_sqlite_write_queue_length", "Writes that wait for the embedded store's writer."
)
SQLITE_LOG_BYTES: Final = Gauge(
    "peopleinfo_sqlite_wal_bytes", "Bytes in the write-ahead logs of the embedded store.", together=max
)

DYNAMODB_SECONDS: Final = Histogram(
    "peopleinfo_dynamodb_request_duration_seconds",
    "Time of an attempt of a call to DynamoDB.",
    "action",
    bounds=_SECONDS,
)
DYNAMODB_ATTEMPTS: Final = Counter(
    "peopleinfo_dynamodb_requests_total",
    "Requests to DynamoDB, retries included, by outcome: ok, condition_failed, throttled, conflict (another write of the item was faster), timeout (no response, or a server error), rejected.",
    "action",
    "outcome",
)
DYNAMODB_UNITS: Final = Counter(
    "peopleinfo_dynamodb_consumed_units_total", "Capacity units that calls consumed, as DynamoDB told.", "action"
)
DYNAMODB_POOL_SECONDS: Final = Histogram(
    "peopleinfo_dynamodb_pool_wait_seconds", "Time that calls waited for a free connection to DynamoDB.", bounds=_SHORT
)

CACHE_READS: Final = Counter(
    "peopleinfo_cache_reads_total",
    "Reads by level (local, shared) and outcome: hit, miss, bypass (it could not be asked or trusted), skipped (the client asked for it).",
    "level",
    "outcome",
)
CACHE_LOOKUPS: Final = Counter(
    "peopleinfo_cache_lookups_total",
    "What the shared cache said: hit, miss (with a lease), cold, fenced, or down (it was not reached).",
    "outcome",
)
CACHE_FILLS: Final = Counter(
    "peopleinfo_cache_fills_total",
    "What became of answers to be kept: kept, lease_lost (a write took the lease), full, large, cold, fenced, down.",
    "outcome",
)
CACHE_INVALID: Final = Counter(
    "peopleinfo_cache_invalid_entries_total",
    "Entries of the shared cache that were removed because this service did not write them: answer, lease, fences, epoch, bucket.",
    "kind",
)
CACHE_FENCES: Final = Counter(
    "peopleinfo_cache_fences_total",
    "Fences of writers: set, cleared, expired (left to its TTL), failed (the cache was not reached).",
    "outcome",
)
CACHE_JOINED: Final = Counter(
    "peopleinfo_cache_coalesced_reads_total", "Reads that shared another one's read of the store."
)
CACHE_SECONDS: Final = Histogram(
    "peopleinfo_cache_command_duration_seconds", "Time of a call to the shared cache.", "operation", bounds=_SHORT
)
CACHE_ERRORS: Final = Counter(
    "peopleinfo_cache_command_errors_total", "Calls to the shared cache that failed: timeout or connection.", "error"
)
CACHE_UP: Final = Gauge(
    "peopleinfo_cache_up", "Whether the cache is asked (the breaker is closed): 1 or 0.", together=min
)
CACHE_BREAKER: Final = Counter(
    "peopleinfo_cache_breaker_changes_total", "Times that the cache was given up or joined (up, down).", "to"
)
CACHE_OWED: Final = Gauge(
    "peopleinfo_cache_pending_invalidations", "Names of which the cache has yet to be told that they changed."
)
CACHE_BYTES: Final = Gauge("peopleinfo_cache_local_bytes", "Bytes of answers in the memory of processes.")
CACHE_ENTRIES: Final = Gauge("peopleinfo_cache_local_entries", "Answers in the memory of processes.")
CACHE_TRACKING: Final = Gauge(
    "peopleinfo_cache_tracking_up",
    "Whether every process hears of changes, and so may use its memory: 1 or 0.",
    together=min,
)
CACHE_STALENESS: Final = Histogram(
    "peopleinfo_cache_invalidation_lag_seconds",
    "How long a process takes at most to hear of a change elsewhere: the time from a PING to its PONG on the connection that tells.",
    bounds=_SHORT,
)

LOOP_LAG: Final = Histogram(
    "peopleinfo_event_loop_lag_seconds", "How much later than asked the event loop woke a task.", bounds=_SHORT
)
IMPORTED: Final = Counter(
    "peopleinfo_import_rows_total", "Rows of imports: stored, rejected, duplicate (stored before).", "outcome"
)
EXPORTED: Final = Counter("peopleinfo_export_people_total", "People handed out by exports.")
TRANSFERS: Final = Gauge("peopleinfo_bulk_operations_running", "Imports and exports under way.", "kind")

AUDIT_EVENTS: Final = Counter(
    "peopleinfo_audit_events_total",
    "Events of the audit: written, or failed (an attempt to write those that wait; they go on waiting).",
    "outcome",
)

EVENTS: Final = Counter(
    "peopleinfo_log_events_total",
    "Events at the level that is logged or above, left out or not; without requests.",
    "level",
)
LEFT_OUT: Final = Counter(
    "peopleinfo_log_events_suppressed_total", "Lines left out since the same had just been written."
)

WORKERS: Final = Gauge("peopleinfo_workers", "Processes that serve.")
BUILD: Final = Gauge("peopleinfo_build_info", "1, with the version.", "version", "python", together=max)
INSTANCE: Final = Gauge(
    "peopleinfo_instance_info", "1, with a name for this instance, the same for all its workers.", "id", together=max
)
CPU_SECONDS: Final = Counter("process_cpu_seconds_total", "User and system CPU time of all workers.")
MEMORY: Final = Gauge("process_resident_memory_bytes", "Resident memory of all workers.")
FILES: Final = Gauge("process_open_fds", "Open file descriptors of all workers.")
FILES_LIMIT: Final = Gauge("process_max_fds", "Open file descriptors that all workers may have.")
FILES_EXHAUSTED: Final = Counter(
    "peopleinfo_open_files_exhausted_total",
    "Times that a worker could open no file or connection, checked twice a second.",
)
STARTED: Final = Gauge("process_start_time_seconds", "When the first worker started, since 1970.", together=min)

ALL: Final[tuple[Metric, ...]] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
