"""All metrics of the service. A label has few values and never contains input of a client."""

from __future__ import annotations

from typing import Final

from peopleinfo.telemetry.metric_types import Counter, Gauge, Histogram, Metric

# Seconds. A read takes less than a millisecond, a durable write a few. The highest bounds cover an overloaded store.
_DURATION_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHORT: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

REQUESTS: Final = Counter("peopleinfo_http_requests_total", "Completed requests.", "route", "method", "status")
REQUEST_SECONDS: Final = Histogram(
    "peopleinfo_http_request_duration_seconds",
    "Time from the request headers to the response; for a stream, to its end.",
    "route",
    "method",
    bounds=_DURATION_BOUNDS,
)
RESPONSE_BYTES: Final = Counter("peopleinfo_http_response_bytes_total", "Bytes of response bodies.", "route")
IN_FLIGHT: Final = Gauge("peopleinfo_http_requests_in_flight", "Requests in progress.")
CONNECTIONS_ABORTED: Final = Counter(
    "peopleinfo_http_connections_aborted_total",
    "Connections closed by the server: limit (too many connections), header_timeout (no request in time), write_timeout (the client did not read the response in time).",
    "reason",
)
REQUESTS_DELAYED: Final = Counter(
    "peopleinfo_http_requests_delayed_total",
    "Requests that waited because their connection sends many requests without a credential.",
)
CONNECTIONS: Final = Gauge("peopleinfo_http_connections", "Open connections.")

STORE_SECONDS: Final = Histogram(
    "peopleinfo_store_operation_duration_seconds",
    "Time of store operations, successful or not.",
    "operation",
    bounds=_DURATION_BOUNDS,
)
STORE_ERRORS: Final = Counter(
    "peopleinfo_store_errors_total",
    "Failed store operations: unavailable, outcome_unknown (a write that may have been applied), unexpected.",
    "operation",
    "error",
)
STORE_UP: Final = Gauge(
    "peopleinfo_store_up", "Whether the last health check of the store succeeded: 1 or 0.", aggregate=min
)
SQLITE_QUEUE_LENGTH: Final = Gauge("peopleinfo_sqlite_write_queue_length", "Writes in the queue of the SQLite writer.")
SQLITE_WAL_BYTES: Final = Gauge(
    "peopleinfo_sqlite_wal_bytes", "Bytes in the write-ahead logs of SQLite.", aggregate=max
)

DYNAMODB_SECONDS: Final = Histogram(
    "peopleinfo_dynamodb_request_duration_seconds",
    "Time of requests to DynamoDB; each retry counts separately.",
    "action",
    bounds=_DURATION_BOUNDS,
)
DYNAMODB_ATTEMPTS: Final = Counter(
    "peopleinfo_dynamodb_requests_total",
    "Requests to DynamoDB, retries included, by outcome: ok, condition_failed, throttled, conflict (a concurrent write of the item), timeout (no response, or a server error), rejected.",
    "action",
    "outcome",
)
DYNAMODB_UNITS: Final = Counter(
    "peopleinfo_dynamodb_consumed_units_total", "Capacity units consumed, as reported by DynamoDB.", "action"
)
DYNAMODB_POOL_SECONDS: Final = Histogram(
    "peopleinfo_dynamodb_pool_wait_seconds",
    "Time that requests waited for a free connection to DynamoDB.",
    bounds=_SHORT,
)

CACHE_READS: Final = Counter(
    "peopleinfo_cache_reads_total",
    "Reads by level (local, shared) and outcome: hit, miss, bypass (cache unreachable, cold or fenced), skipped (requested by the client).",
    "level",
    "outcome",
)
CACHE_LOOKUPS: Final = Counter(
    "peopleinfo_cache_lookups_total",
    "Lookups in the shared cache by outcome: hit, miss (with a lease), cold, fenced, down (unreachable).",
    "outcome",
)
CACHE_FILLS: Final = Counter(
    "peopleinfo_cache_fills_total",
    "Fills of the shared cache by outcome: kept, lease_lost (a write deleted the lease), full, large, cold, fenced, down.",
    "outcome",
)
CACHE_INVALID: Final = Counter(
    "peopleinfo_cache_invalid_entries_total",
    "Invalid entries removed from the shared cache, written by another program: answer, lease, fences, epoch, bucket.",
    "kind",
)
CACHE_FENCES: Final = Counter(
    "peopleinfo_cache_fences_total",
    "Fences of writers: set, cleared, expired (left to its TTL), failed (cache unreachable).",
    "outcome",
)
CACHE_COALESCED_READS: Final = Counter(
    "peopleinfo_cache_coalesced_reads_total", "Reads that shared the store read of a concurrent request."
)
CACHE_SECONDS: Final = Histogram(
    "peopleinfo_cache_command_duration_seconds", "Time of commands to the shared cache.", "operation", bounds=_SHORT
)
CACHE_ERRORS: Final = Counter(
    "peopleinfo_cache_command_errors_total", "Failed commands to the shared cache: timeout or connection.", "error"
)
CACHE_UP: Final = Gauge(
    "peopleinfo_cache_up", "Whether the cache is used (the circuit breaker is closed): 1 or 0.", aggregate=min
)
CACHE_BREAKER: Final = Counter(
    "peopleinfo_cache_breaker_changes_total",
    "State changes of the circuit breaker of the cache: up (closed) or down (open).",
    "to",
)
CACHE_PENDING_INVALIDATIONS: Final = Gauge(
    "peopleinfo_cache_pending_invalidations", "Names with an invalidation that is pending until the cache is reachable."
)
CACHE_BYTES: Final = Gauge("peopleinfo_cache_local_bytes", "Bytes of responses in the local cache.")
CACHE_ENTRIES: Final = Gauge("peopleinfo_cache_local_entries", "Responses in the local cache.")
CACHE_TRACKING: Final = Gauge(
    "peopleinfo_cache_tracking_up",
    "Whether every process receives invalidations, which enables its local cache: 1 or 0.",
    aggregate=min,
)
CACHE_STALENESS: Final = Histogram(
    "peopleinfo_cache_invalidation_lag_seconds",
    "Upper bound of the delay of invalidations: the time from PING to PONG on the tracking connection.",
    bounds=_SHORT,
)

LOOP_LAG: Final = Histogram("peopleinfo_event_loop_lag_seconds", "Delay of a timer of the event loop.", bounds=_SHORT)
IMPORTED: Final = Counter(
    "peopleinfo_import_rows_total",
    "Imported rows by outcome: stored, updated, unchanged, conflict, rejected, skipped.",
    "outcome",
)
EXPORTED: Final = Counter("peopleinfo_export_people_total", "Exported records.")
BULK_OPERATIONS: Final = Gauge("peopleinfo_bulk_operations_running", "Running imports and exports.", "kind")

AUDIT_EVENTS: Final = Counter(
    "peopleinfo_audit_events_total",
    "Events of the audit log: written, or failed (a failed attempt to write; the events remain queued).",
    "outcome",
)

EVENTS: Final = Counter(
    "peopleinfo_log_events_total",
    "Log events at or above the configured level, including suppressed ones, without requests.",
    "level",
)
EVENTS_SUPPRESSED: Final = Counter(
    "peopleinfo_log_events_suppressed_total", "Repeated log events that were suppressed."
)

WORKERS: Final = Gauge("peopleinfo_workers", "Worker processes.")
BUILD: Final = Gauge(
    "peopleinfo_build_info", "Always 1; the labels contain the version.", "version", "python", aggregate=max
)
INSTANCE: Final = Gauge(
    "peopleinfo_instance_info",
    "Always 1; the label identifies the instance, the same for all its workers.",
    "id",
    aggregate=max,
)
CPU_SECONDS: Final = Counter("process_cpu_seconds_total", "User and system CPU time of all workers.")
MEMORY: Final = Gauge("process_resident_memory_bytes", "Resident memory of all workers.")
FILES: Final = Gauge("process_open_fds", "Open file descriptors of all workers.")
FILES_LIMIT: Final = Gauge("process_max_fds", "Maximum number of open file descriptors of all workers.")
FILES_EXHAUSTED: Final = Counter(
    "peopleinfo_open_files_exhausted_total",
    "Times that a worker had no free file descriptor; checked twice a second.",
)
STARTED: Final = Gauge(
    "process_start_time_seconds", "Start time of the first worker, in seconds since 1970.", aggregate=min
)

ALL: Final[tuple[Metric, ...]] = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
