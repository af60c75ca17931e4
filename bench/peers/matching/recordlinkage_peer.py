"""Match sets of people with recordlinkage's ECM classifier: `recordlinkage_peer.py FOLDER SET…`. Runs in the environment of the peers.

Configured as in its examples: blocks by each name, birthdate and postcode; Jaro-Winkler at .85. Writes `SET.recordlinkage.json`: pairs of row
numbers with their probability. The classifier is trained on the set itself, without labels.
"""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
import recordlinkage

COLUMNS = ("given_name", "surname", "born", "number", "street", "postcode")


def main(folder: str, *names: str) -> None:
    warnings.filterwarnings("ignore")
    for name in names:
        rows = [json.loads(line) for line in (Path(folder) / f"{name}.ndjson").read_text().splitlines()]
        table = pd.DataFrame({column: [row[column].lower() or None for row in rows] for column in COLUMNS})
        (Path(folder) / f"{name}.recordlinkage.json").write_text(json.dumps(_matched(table, name.startswith("census"))))


def _matched(table: pd.DataFrame, one_town: bool) -> list[tuple[int, int, float]]:
    index = recordlinkage.Index()
    for column in ("given_name", "surname", "born"):
        index.block(column)
    index.block(["number", "street"] if one_town else ["postcode"])
    compare = recordlinkage.Compare()
    for column in ("given_name", "surname", "street"):
        compare.string(column, column, method="jarowinkler", threshold=0.85, label=column)
    for column in ("born", "number", "postcode"):
        compare.exact(column, column, label=column)
    features = compare.compute(index.index(table), table)
    classifier = recordlinkage.ECMClassifier(binarize=0.5)
    classifier.fit(features)
    probabilities = classifier.prob(features)
    return [
        (min(pair), max(pair), float(probability)) for pair, probability in probabilities.items() if probability > 0.01
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
