"""Match sets of people with Splink, configured as in its documentation: `splink_peer.py FOLDER SET…`. Runs in the environment of the peers.

Expectation maximisation, term frequencies, no tuning. Writes `SET.splink.json`: pairs of row numbers with their probability.
"""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

COLUMNS = ("given_name", "surname", "born", "number", "street", "postcode")


def main(folder: str, *names: str) -> None:
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    for name in names:
        rows = [json.loads(line) for line in (Path(folder) / f"{name}.ndjson").read_text().splitlines()]
        pairs = _matched(rows, one_town=name.startswith("census"))
        (Path(folder) / f"{name}.splink.json").write_text(json.dumps(pairs))


def _matched(rows: list[dict[str, str]], *, one_town: bool) -> list[tuple[int, int, float]]:
    columns: dict[str, Any] = {column: [row[column].lower() or None for row in rows] for column in COLUMNS}
    linker = _trained(pd.DataFrame({"unique_id": range(len(rows)), **columns}), one_town=one_town)
    found = linker.inference.predict(threshold_match_probability=0.01).as_record_list()
    return [
        (*sorted((pair["unique_id_l"], pair["unique_id_r"])), pair["match_probability"])  # type: ignore[misc]
        for pair in found
    ]


def _trained(table: pd.DataFrame, *, one_town: bool) -> Linker:
    comparisons = [
        cl.NameComparison("given_name").configure(term_frequency_adjustments=True),
        cl.NameComparison("surname").configure(term_frequency_adjustments=True),
        cl.DateOfBirthComparison("born", input_is_string=True, datetime_format="%Y%m%d"),
        cl.ExactMatch("number").configure(term_frequency_adjustments=True),
        cl.JaroWinklerAtThresholds("street", [0.9]),
        cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]).configure(term_frequency_adjustments=True),
    ]
    place = block_on("number", "street") if one_town else block_on("postcode")
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unique_id",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on("given_name"), block_on("surname"), block_on("born"), place],
    )
    linker = Linker(DuckDBAPI().register(table), settings)
    same = "l.given_name = r.given_name and l."
    certain = [
        same + "surname = r.surname and l.born = r.born",
        same + "postcode = r.postcode and l.number = r.number",
    ]
    linker.training.estimate_probability_two_random_records_match(certain, recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6)
    for rule in (block_on("born"), block_on("given_name", "surname")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    return linker


if __name__ == "__main__":
    main(*sys.argv[1:])
