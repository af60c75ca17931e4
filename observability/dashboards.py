"""The dashboards, as code: `python -m observability.dashboards` writes them to observability/grafana/dashboards."""

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
    """A panel: its title, what it tells whoever is on call, its unit (Grafana's name), and what it draws by what each line is called."""

    title: str
    tells: str
    unit: str
    draws: dict[str, str]


def rate(metric: str, by: str, where: str = _JOB) -> str:
    """Return the expression of a counter's growth a second."""
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", where: str = _JOB) -> str:
    """Return the expression of a quantile of a histogram."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


OVERVIEW: Final = (
    Panel(
        "Failures of the last hour",
        "The share of the API's requests answered by 5xx; the goal is less than 0.1 %.",
        "percentunit",
        {"5 minutes": "job:peopleinfo_errors:ratio_rate5m", "1 hour": "job:peopleinfo_errors:ratio_rate1h"},
    ),
    Panel(
        "Requests",
        "Answered a second, by status.",
        "reqps",
        {"{{status}}": rate("peopleinfo_http_requests_total", "status", _API)},
    ),
    Panel(
        "Failures by route",
        "Answered by 5xx a second.",
        "reqps",
        {"{{method}} {{route}}": rate("peopleinfo_http_requests_total", "method, route", f'{_API}, status=~"5.."')},
    ),
    Panel(
        "Latency",
        "How long requests take, imports and exports aside.",
        "s",
        {
            "p99": "job:peopleinfo_request_seconds:p99_5m",
            "p50": quantile(
                0.5, "peopleinfo_http_request_duration_seconds", where=f'{_API}, route!~"/v1/people/(import|export)"'
            ),
        },
    ),
    Panel(
        "Latency by route (p99)",
        "Which route is slow.",
        "s",
        {"{{method}} {{route}}": quantile(0.99, "peopleinfo_http_request_duration_seconds", "method, route", _API)},
    ),
    Panel(
        "In flight",
        "Requests being answered, and open connections.",
        "short",
        {
            "requests {{instance}}": f"peopleinfo_http_requests_in_flight{{{_JOB}}}",
            "connections {{instance}}": f"peopleinfo_http_connections{{{_JOB}}}",
        },
    ),
    Panel(
        "Bytes sent",
        "Bodies of answers, by route.",
        "Bps",
        {"{{route}}": rate("peopleinfo_http_response_bytes_total", "route")},
    ),
    Panel(
        "Instances",
        "How many answer Prometheus, their workers, and when each started.",
        "short",
        {
            "instances": f"sum(up{{{_JOB}}})",
            "workers {{instance}}": f"peopleinfo_workers{{{_JOB}}}",
            "starts within an hour {{instance}}": f"changes(process_start_time_seconds{{{_JOB}}}[1h])",
        },
    ),
    Panel(
        "Versions",
        "What runs where: during a deployment there are two.",
        "short",
        {
            "{{version}} on Python {{python}}": f"count by (version, python) (peopleinfo_build_info{{{_JOB}}})",
            "{{id}}": f"count by (id) (peopleinfo_instance_info{{{_JOB}}})",
        },
    ),
    Panel(
        "CPU",
        "CPUs that each instance uses; a worker uses one at most.",
        "short",
        {"{{instance}}": rate("process_cpu_seconds_total", "instance")},
    ),
    Panel(
        "Memory",
        "Resident, of all workers of an instance.",
        "bytes",
        {"{{instance}}": f"process_resident_memory_bytes{{{_JOB}}}"},
    ),
    Panel(
        "Connections that were ended from here",
        "A second; full: PEOPLEINFO_MAX_CONNECTIONS, head: idle or slow to ask, answer: slow to take it.",
        "short",
        {"{{reason}}": rate("peopleinfo_http_connections_aborted_total", "reason")},
    ),
    Panel(
        "Open files",
        "Files and connections, their limit, and how often none could be opened in five minutes.",
        "short",
        {
            "{{instance}}": f"process_open_fds{{{_JOB}}}",
            "limit {{instance}}": f"process_max_fds{{{_JOB}}}",
            "exhausted {{instance}}": f"increase(peopleinfo_open_files_exhausted_total{{{_JOB}}}[5m])",
        },
    ),
    Panel(
        "Lag of the event loop (p99)",
        "How late a process turns to its work; more than 0.1 s means that it is too busy.",
        "s",
        {"{{instance}}": quantile(0.99, "peopleinfo_event_loop_lag_seconds", "instance")},
    ),
    Panel(
        "Log",
        "Warnings and errors a second, and lines left out in a storm.",
        "short",
        {
            "{{level}}": rate("peopleinfo_log_events_total", "level"),
            "left out": rate("peopleinfo_log_events_suppressed_total", "job"),
        },
    ),
    Panel(
        "Audit",
        "Events a second; failed: attempts to write, after which nobody is served for long.",
        "short",
        {"{{outcome}}": rate("peopleinfo_audit_events_total", "outcome")},
    ),
    Panel(
        "Imports and exports",
        "People a second, and transfers under way.",
        "short",
        {
            "rows {{outcome}}": rate("peopleinfo_import_rows_total", "outcome"),
            "exported": rate("peopleinfo_export_people_total", "job"),
            "{{kind}} under way": f"sum by (kind) (peopleinfo_bulk_operations_running{{{_JOB}}})",
        },
    ),
)

STORE_AND_CACHE: Final = (
    Panel(
        "Is the store there?",
        "1: it said last that it can serve.",
        "short",
        {"{{instance}}": f"peopleinfo_store_up{{{_JOB}}}"},
    ),
    Panel(
        "Latency of the store (p99)",
        "By operation, whatever came of it.",
        "s",
        {"{{operation}}": quantile(0.99, "peopleinfo_store_operation_duration_seconds", "operation")},
    ),
    Panel(
        "Operations of the store",
        "A second.",
        "ops",
        {"{{operation}}": rate("peopleinfo_store_operation_duration_seconds_count", "operation")},
    ),
    Panel(
        "What the store could not do",
        "A second; unknown: it may have been done all the same.",
        "ops",
        {"{{operation}} {{error}}": rate("peopleinfo_store_errors_total", "operation, error")},
    ),
    Panel(
        "DynamoDB: attempts by outcome",
        "throttled: for want of capacity; silent: no answer; refused: rights, or no such table.",
        "ops",
        {"{{outcome}}": rate("peopleinfo_dynamodb_requests_total", "outcome")},
    ),
    Panel(
        "DynamoDB: latency of an attempt (p99)",
        "As the service sees it.",
        "s",
        {"{{action}}": quantile(0.99, "peopleinfo_dynamodb_request_duration_seconds", "action")},
    ),
    Panel(
        "DynamoDB: consumed capacity",
        "Units a second, as DynamoDB told: what is paid for.",
        "short",
        {"{{action}}": rate("peopleinfo_dynamodb_consumed_units_total", "action")},
    ),
    Panel(
        "DynamoDB: waiting for a connection (p99)",
        "More than a few milliseconds: all connections are in use.",
        "s",
        {"{{instance}}": quantile(0.99, "peopleinfo_dynamodb_pool_wait_seconds", "instance")},
    ),
    Panel(
        "SQLite: writes that wait",
        "For the one writer.",
        "short",
        {"{{instance}}": f"peopleinfo_sqlite_write_queue_length{{{_JOB}}}"},
    ),
    Panel(
        "SQLite: write-ahead logs",
        "Changes that are not in the database files yet. A reader that does not end keeps them from shrinking.",
        "bytes",
        {"{{instance}}": f"peopleinfo_sqlite_wal_bytes{{{_JOB}}}"},
    ),
    Panel(
        "Is the cache there?",
        "1: it is asked; and 1: processes hear of changes, and use their own memory.",
        "short",
        {
            "shared {{instance}}": f"peopleinfo_cache_up{{{_JOB}}}",
            "memory {{instance}}": f"peopleinfo_cache_tracking_up{{{_JOB}}}",
        },
    ),
    Panel(
        "Answers from the cache",
        "The share of reads that no store had to answer, and reads by level and outcome.",
        "short",
        {
            "share": "job:peopleinfo_cache_hits:ratio_rate5m",
            "{{level}} {{outcome}}": rate("peopleinfo_cache_reads_total", "level, outcome"),
        },
    ),
    Panel(
        "What the shared cache said",
        "miss: with a lease to fill it; fenced: somebody is writing; cold: it is not trusted yet; down: not reached.",
        "ops",
        {"{{outcome}}": rate("peopleinfo_cache_lookups_total", "outcome")},
    ),
    Panel(
        "Fills and fences",
        "late: a write was faster than the fill; left: a write of unknown outcome.",
        "ops",
        {
            "fill {{outcome}}": rate("peopleinfo_cache_fills_total", "outcome"),
            "fence {{outcome}}": rate("peopleinfo_cache_fences_total", "outcome"),
            "reads joined": rate("peopleinfo_cache_coalesced_reads_total", "job"),
        },
    ),
    Panel(
        "Calls to the cache (p99)",
        "By operation; the deadline is 50 ms.",
        "s",
        {"{{operation}}": quantile(0.99, "peopleinfo_cache_command_duration_seconds", "operation")},
    ),
    Panel(
        "Trouble with the cache",
        "Failed calls and invalid entries a second, times that it was given up or joined, and names that it has yet to be told of.",
        "short",
        {
            "{{error}}": rate("peopleinfo_cache_command_errors_total", "error"),
            "invalid {{kind}}": rate("peopleinfo_cache_invalid_entries_total", "kind"),
            "{{to}}": f"sum by (to) (increase(peopleinfo_cache_breaker_changes_total{{{_JOB}}}[$__rate_interval]))",
            "owed {{instance}}": f"peopleinfo_cache_pending_invalidations{{{_JOB}}}",
        },
    ),
    Panel(
        "Staleness of the memory of processes",
        "How long a process takes at most to hear of a change elsewhere; 1.5 s is the promised bound.",
        "s",
        {
            "p99": quantile(0.99, "peopleinfo_cache_invalidation_lag_seconds"),
            "p50": quantile(0.5, "peopleinfo_cache_invalidation_lag_seconds"),
        },
    ),
    Panel(
        "Answers in memory",
        "Of all workers of an instance.",
        "short",
        {"{{instance}}": f"peopleinfo_cache_local_entries{{{_JOB}}}"},
    ),
    Panel(
        "Memory for answers",
        "Of all workers of an instance.",
        "bytes",
        {"{{instance}}": f"peopleinfo_cache_local_bytes{{{_JOB}}}"},
    ),
)

BOARDS: Final = {
    "overview": ("PeopleInfo: overview", OVERVIEW),
    "store-and-cache": ("PeopleInfo: store and cache", STORE_AND_CACHE),
}


def text(name: str) -> str:
    """Return a dashboard as Grafana reads it."""
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
        board = board.with_panel(_drawn(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _drawn(panel: Panel) -> timeseries.Panel:
    drawn = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.tells)
        .unit(panel.unit)
        .datasource(DataSourceRef(type_val="prometheus", uid="${datasource}"))
        .span(8)
        .height(8)
    )
    for number, (legend, expression) in enumerate(panel.draws.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        drawn = drawn.with_target(query)
    return drawn


def main() -> None:
    """Write the dashboards."""
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
