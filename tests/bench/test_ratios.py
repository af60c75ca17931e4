"""The ratios on the page of figures come from the tables of the benchmarks."""

from bench.markdown_tables import Table
from bench.ratios import CLOUD, ratios


def test_ratio_is_the_median_in_the_first_row_with_the_title() -> None:
    table = Table(f"{CLOUD}ynamodb-local", "request", "ours", "Node : ours")
    table.row("by id, cached", "16.7 (16.0-18.0)", "7.7")
    table.row("by id, not cached", "265.5 (265.0-266.0)", "4.1")
    table.row("create", "9.0 (9.0-9.0)", "")
    lists = Table("µs of CPU per list and search", "request", "encrypted : plain")
    lists.row("list of 100", "1.14")
    rows = {row[0]: row[1:] for row in ratios([lists, table]).rows}
    assert rows["typical Node : ours, cached by id"] == ("7.7", "≥ 2")
    assert rows["typical Node : ours, by id, not cached"] == ("4.1", "≥ 1.8")
    assert rows["list of 100, encrypted : plain, CPU"] == ("1.14", "≤ 2")
    assert "memory of two idle workers, MB (PSS)" not in rows
