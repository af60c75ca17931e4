"""The worked examples of docs/duplicates.md, computed by the code that grades records: `python -m docs_site.matching_example` updates them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from peopleinfo.matching.frequencies import Counts, Frequencies
from peopleinfo.matching.match_record import prepare
from peopleinfo.matching.scoring import score

PAGE: Final = Path(__file__).parents[1] / "docs" / "duplicates.md"
_EXAMPLE: Final = re.compile(r"(<!-- example: (\w+), (\w+) -->\n\n)(?:\|.*?Grade: [^\n]*\n\n)?", re.DOTALL)
_COLUMNS: Final = (
    "field",
    "first record",
    "second record",
    "agreement",
    "bits against strangers",
    "bits against relatives",
)
JONATHAN: Final = {
    "person_name": "Jonathan",
    "person_surname": "Smyth",
    "person_birthdate": "1980-04-03",
    "person_address": "12 Elm Row, Leeds LS1",
}
JONATHAN_AGAIN: Final = JONATHAN | {"person_surname": "Smith", "person_address": "7 Mill Road, Leeds LS9"}
MARINA: Final = JONATHAN | {"person_name": "Marina"}
MARTINA: Final = JONATHAN | {"person_name": "Martina"}
PEOPLE: Final = 100_000
# 0.4 % of the people are called Jonathan, 0.1 % Marina; Leeds is in a third of the addresses.
COUNTS: Final = Counts(
    people=PEOPLE,
    named=PEOPLE,
    surnamed=PEOPLE,
    addressed=PEOPLE,
    relatives=60_000,
    values={("name", "jonathan"): 400, ("name", "marina"): 100},
    common_words=frozenset(("leeds",)),
)


def example(p: dict[str, str], q: dict[str, str]) -> str:
    """Return the evidence of a pair as a Markdown table, with its sums and its grade."""
    frequencies = Frequencies(COUNTS)
    found = score(prepare(p), prepare(q), frequencies)
    grade, probability, relatives = found.assess(PEOPLE, frequencies.relatives)
    rows = [
        (
            f"`{item.field}`",
            p[item.field],
            q[item.field],
            item.because,
            f"{item.bits:.1f}",
            f"{item.against_relatives:.1f}",
        )
        for item in found.evidence
    ]
    rows.append(("sum", "", "", "", f"**{found.bits:.1f}**", f"**{found.against_relatives:.1f}**"))
    table = "\n".join(f"| {' | '.join(row)} |" for row in (_COLUMNS, ("---",) * len(_COLUMNS), *rows))
    strangers, kin = PEOPLE * 2**-found.bits, frequencies.relatives * 2**-found.against_relatives
    return (
        f"{table}\n\n"
        f"Probability: 1 / (1 + {PEOPLE:,} · 2^-{found.bits:.1f} + {frequencies.relatives:.2f} · 2^-{found.against_relatives:.1f}) = "
        f"1 / (1 + {strangers:.6f} + {kin:.6f}) = {probability:.5f}. Probability of relatives: {relatives:.5f}. Grade: **{grade}**."
    )


def updated(page: str) -> str:
    """Return the text of the page with its examples computed again."""
    records = {"JONATHAN": JONATHAN, "JONATHAN_AGAIN": JONATHAN_AGAIN, "MARINA": MARINA, "MARTINA": MARTINA}
    return _EXAMPLE.sub(lambda found: f"{found[1]}{example(records[found[2]], records[found[3]])}\n\n", page)


def main() -> None:
    """Update the page."""
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
