"""The Grafana dashboards as code: `python -m observability.dashboards` writes them to observability/grafana/dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER: Final = Path(__file__).parent / "grafana" / "dashboards"
_API: Final = 'job="peopleinfo", route=~"/v1/.*|/data"'
_JOB: Final = 'job="peopleinfo"'


class Panel(NamedTuple):
    """A panel: title, description for the operator on call, unit (Grafana's name), and expressions by legend."""

    title: str
    description: str
    unit: str
    expressions: dict[str, str]


def rate(metric: str, by: str, selector: str = _JOB) -> str:
    """Return the expression for the rate of a counter per second."""
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def quantile(level: float, metric: str, by: str = "", selector: str = _JOB) -> str:
    """Return the expression for a quantile of a histogram."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({level}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}[$__rate_interval])))"


OVERVIEW: Final = (
    Panel(
        "Error ratio",
        "Share of API requests with a 5xx response. Objective: less than 0.1 %.",
        "percentunit",
        {"5 minutes": "job:peopleinfo_errors:ratio_rate5m", "1 hour": "job:peopleinfo_errors:ratio_rate1h"},
    ),
    Panel(
        "Requests",
        "Completed requests per second, by status.",
        "reqps",
        {"{{status}}": rate("peopleinfo_http_requests_total", "status", _API)},
    ),
    Panel(
        "Errors by route",
        "5xx responses per second.",
        "reqps",
        {"{{method}} {{route}}": rate("peopleinfo_http_requests_total", "method, route", f'{_API}, status=~"5.."')},
    ),
    Panel(
        "Latency",
        "Duration of requests, without imports and exports.",
        "s",
        {
            "p99": "job:peopleinfo_request_seconds:p99_5m",
            "p50": quantile(
                0.5, "peopleinfo_http_request_duration_seconds", selector=f'{_API}, route!~"/v1/people/(import|export)"'
            ),
        },
    ),
    Panel(
        "Latency by route (p99)",
        "99th percentile of the duration, to find a slow route.",
        "s",
        {"{{method}} {{route}}": quantile(0.99, "peopleinfo_http_request_duration_seconds", "method, route", _API)},
    ),
    Panel(
        "Requests in flight",
        "Requests in progress and open connections.",
        "short",
        {
            "requests {{instance}}": f"peopleinfo_http_requests_in_flight{{{_JOB}}}",
            "connections {{instance}}": f"peopleinfo_http_connections{{{_JOB}}}",
        },
    ),
    Panel(
        "Bytes sent",
        "Bytes of response bodies per second, by route.",
        "Bps",
        {"{{route}}": rate("peopleinfo_http_response_bytes_total", "route")},
    ),
    Panel(
        "Instances",
        "Reachable instances, their workers, and starts within the last hour.",
        "short",
        {
            "instances": f"sum(up{{{_JOB}}})",
            "workers {{instance}}": f"peopleinfo_workers{{{_JOB}}}",
            "starts in 1 hour {{instance}}": f"changes(process_start_time_seconds{{{_JOB}}}[1h])",
        },
    ),
    Panel(
        "Versions",
        "Running versions; two during a deployment.",
        "short",
        {
            "{{version}} on Python {{python}}": f"count by (version, python) (peopleinfo_build_info{{{_JOB}}})",
            "{{id}}": f"count by (id) (peopleinfo_instance_info{{{_JOB}}})",
        },
    ),
    Panel(
        "CPU",
        "CPU cores used by each instance; a worker uses at most one.",
        "short",
        {"{{instance}}": rate("process_cpu_seconds_total", "instance")},
    ),
    Panel(
        "Memory",
        "Resident memory of all workers of an instance.",
        "bytes",
        {"{{instance}}": f"process_resident_memory_bytes{{{_JOB}}}"},
    ),
    Panel(
        "Aborted connections",
        "Connections closed by the server per second. limit: PEOPLEINFO_MAX_CONNECTIONS; header_timeout: no request in time; write_timeout: the client reads too slowly. delayed: requests that waited because their connection sends many without a credential.",
        "short",
        {
            "{{reason}}": rate("peopleinfo_http_connections_aborted_total", "reason"),
            "delayed": rate("peopleinfo_http_requests_delayed_total", "job"),
        },
    ),
    Panel(
        "Open files",
        "Open files and connections, their limit, and the number of failures to open one in five minutes.",
        "short",
        {
            "{{instance}}": f"process_open_fds{{{_JOB}}}",
            "limit {{instance}}": f"process_max_fds{{{_JOB}}}",
            "exhausted {{instance}}": f"increase(peopleinfo_open_files_exhausted_total{{{_JOB}}}[5m])",
        },
    ),
    Panel(
        "Event loop lag (p99)",
        "Delay of the event loop; more than 0.1 s means that the process is overloaded.",
        "s",
        {"{{instance}}": quantile(0.99, "peopleinfo_event_loop_lag_seconds", "instance")},
    ),
    Panel(
        "Log events",
        "Log events per second by level, and suppressed repetitions.",
        "short",
        {
            "{{level}}": rate("peopleinfo_log_events_total", "level"),
            "suppressed": rate("peopleinfo_log_events_suppressed_total", "job"),
        },
    ),
    Panel(
        "Audit log",
        "Events per second. failed: attempts to write; the service soon rejects requests if they persist.",
        "short",
        {"{{outcome}}": rate("peopleinfo_audit_events_total", "outcome")},
    ),
    Panel(
        "Imports and exports",
        "Records per second, and running operations.",
        "short",
        {
            "rows {{outcome}}": rate("peopleinfo_import_rows_total", "outcome"),
            "exported": rate("peopleinfo_export_people_total", "job"),
            "{{kind}} running": f"sum by (kind) (peopleinfo_bulk_operations_running{{{_JOB}}})",
        },
    ),
)

STORE_AND_CACHE: Final = (
    Panel(
        "Store health",
        "1: the last health check succeeded.",
        "short",
        {"{{instance}}": f"peopleinfo_store_up{{{_JOB}}}"},
    ),
    Panel(
        "Store latency (p99)",
        "By operation, successful or not.",
        "s",
        {"{{operation}}": quantile(0.99, "peopleinfo_store_operation_duration_seconds", "operation")},
    ),
    Panel(
        "Store operations",
        "Operations per second.",
        "ops",
        {"{{operation}}": rate("peopleinfo_store_operation_duration_seconds_count", "operation")},
    ),
    Panel(
        "Store errors",
        "Failed operations per second. outcome_unknown: the write may have been applied.",
        "ops",
        {"{{operation}} {{error}}": rate("peopleinfo_store_errors_total", "operation, error")},
    ),
    Panel(
        "DynamoDB: requests by outcome",
        "Requests per second. throttled: insufficient capacity; timeout: no response; rejected: missing permission or table.",
        "ops",
        {"{{outcome}}": rate("peopleinfo_dynamodb_requests_total", "outcome")},
    ),
    Panel(
        "DynamoDB: request latency (p99)",
        "Measured by the service; each retry counts separately.",
        "s",
        {"{{action}}": quantile(0.99, "peopleinfo_dynamodb_request_duration_seconds", "action")},
    ),
    Panel(
        "DynamoDB: consumed capacity",
        "Capacity units per second as reported by DynamoDB, which AWS charges for.",
        "short",
        {"{{action}}": rate("peopleinfo_dynamodb_consumed_units_total", "action")},
    ),
    Panel(
        "DynamoDB: wait for a connection (p99)",
        "More than a few milliseconds means that all connections are in use.",
        "s",
        {"{{instance}}": quantile(0.99, "peopleinfo_dynamodb_pool_wait_seconds", "instance")},
    ),
    Panel(
        "SQLite: write queue",
        "Writes that wait for the writer.",
        "short",
        {"{{instance}}": f"peopleinfo_sqlite_write_queue_length{{{_JOB}}}"},
    ),
    Panel(
        "SQLite: write-ahead logs",
        "Size of the write-ahead logs. A long read transaction keeps them from shrinking.",
        "bytes",
        {"{{instance}}": f"peopleinfo_sqlite_wal_bytes{{{_JOB}}}"},
    ),
    Panel(
        "Cache health",
        "shared: 1 if the shared cache is used; local: 1 if processes receive invalidations and use their local caches.",
        "short",
        {
            "shared {{instance}}": f"peopleinfo_cache_up{{{_JOB}}}",
            "local {{instance}}": f"peopleinfo_cache_tracking_up{{{_JOB}}}",
        },
    ),
    Panel(
        "Cache hits",
        "Share of reads served by a cache, and reads per second by level and outcome.",
        "short",
        {
            "hit ratio": "job:peopleinfo_cache_hits:ratio_rate5m",
            "{{level}} {{outcome}}": rate("peopleinfo_cache_reads_total", "level, outcome"),
        },
    ),
    Panel(
        "Shared cache lookups",
        "Lookups per second. miss: returns a lease; fenced: a write is in progress; cold: a new epoch is not yet valid; down: unreachable.",
        "ops",
        {"{{outcome}}": rate("peopleinfo_cache_lookups_total", "outcome")},
    ),
    Panel(
        "Fills and fences",
        "Per second. lease_lost: a write overtook the fill; expired: the fence of a write with an unknown outcome.",
        "ops",
        {
            "fill {{outcome}}": rate("peopleinfo_cache_fills_total", "outcome"),
            "fence {{outcome}}": rate("peopleinfo_cache_fences_total", "outcome"),
            "coalesced reads": rate("peopleinfo_cache_coalesced_reads_total", "job"),
        },
    ),
    Panel(
        "Cache commands (p99)",
        "By operation; the default timeout is 50 ms.",
        "s",
        {"{{operation}}": quantile(0.99, "peopleinfo_cache_command_duration_seconds", "operation")},
    ),
    Panel(
        "Cache errors",
        "Failed commands and invalid entries per second, state changes of the circuit breaker, and pending invalidations.",
        "short",
        {
            "{{error}}": rate("peopleinfo_cache_command_errors_total", "error"),
            "invalid {{kind}}": rate("peopleinfo_cache_invalid_entries_total", "kind"),
            "{{to}}": f"sum by (to) (increase(peopleinfo_cache_breaker_changes_total{{{_JOB}}}[$__rate_interval]))",
            "pending {{instance}}": f"peopleinfo_cache_pending_invalidations{{{_JOB}}}",
        },
    ),
    Panel(
        "Invalidation lag of local caches",
        "Upper bound of the delay of invalidations; 1.5 s is the guaranteed maximum.",
        "s",
        {
            "p99": quantile(0.99, "peopleinfo_cache_invalidation_lag_seconds"),
            "p50": quantile(0.5, "peopleinfo_cache_invalidation_lag_seconds"),
        },
    ),
    Panel(
        "Local cache entries",
        "Entries of all workers of an instance.",
        "short",
        {"{{instance}}": f"peopleinfo_cache_local_entries{{{_JOB}}}"},
    ),
    Panel(
        "Local cache size",
        "Bytes of all workers of an instance.",
        "bytes",
        {"{{instance}}": f"peopleinfo_cache_local_bytes{{{_JOB}}}"},
    ),
)

BOARDS: Final = {
    "overview": ("PeopleInfo: overview", OVERVIEW),
    "store-and-cache": ("PeopleInfo: store and cache", STORE_AND_CACHE),
}


def text(name: str) -> str:
    """Return a dashboard as Grafana JSON."""
    title, panels = BOARDS[name]
    board = (
        dashboard.Dashboard(title)
        .uid(f"peopleinfo-{name}")
        .tags(["peopleinfo"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    )
    for panel in panels:
        board = board.with_panel(_timeseries(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _timeseries(panel: Panel) -> timeseries.Panel:
    builder = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .unit(panel.unit)
        .datasource(DataSourceRef(type_val="prometheus", uid="${datasource}"))
        .span(8)
        .height(8)
    )
    for number, (legend, expression) in enumerate(panel.expressions.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        builder = builder.with_target(query)
    return builder


def main() -> None:
    """Write all dashboards."""
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
