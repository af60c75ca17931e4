"""Weights: how often two records of one person, of strangers, and of relatives in one household show each agreement.

Set by hand, not trained. `make bench ARGS=matching` measures them; docs/duplicates.md explains them with an example.
"""

from __future__ import annotations

from math import log2
from typing import Final, NamedTuple


class Weights(NamedTuple):
    """The shares of pairs with one agreement: of one person, of strangers, of relatives."""

    same: float
    strangers: float  # 1.0 where the frequency of the value decides
    relatives: float

    @property
    def bits(self) -> float:
        """Evidence for one person against strangers."""
        return log2(self.same / self.strangers)

    @property
    def against_relatives(self) -> float:
        """Evidence for one person against relatives."""
        return log2(self.same / self.relatives)


NAME: Final = {
    "exact": Weights(0.80, 1.0, 0.006),
    "second": Weights(0.01, 1.0, 0.006),
    "nickname": Weights(0.03, 0.002, 0.002),
    "near": Weights(0.08, 0.012, 0.007),
    "part": Weights(0.02, 0.02, 0.015),
    "initial": Weights(0.02, 0.01, 0.012),
    "differs": Weights(0.07, 0.97, 0.95),
}
SURNAME: Final = {
    "exact": Weights(0.84, 1.0, 0.80),
    "part": Weights(0.025, 1.0, 0.05),  # one of two parts
    "near": Weights(0.09, 0.004, 0.09),
    "differs": Weights(0.07, 0.99, 0.17),
}
BIRTHDATE: Final = {
    "exact": Weights(0.84, 1 / 25_000, 0.009),
    "swapped": Weights(0.02, 1 / 25_000, 0.0005),
    "near": Weights(0.08, 1 / 900, 0.004),
    "day": Weights(0.03, 1 / 450, 0.0025),
    "year": Weights(0.02, 1 / 75, 0.03),
    "partial": Weights(0.90, 1 / 75, 0.05),
    "differs": Weights(0.04, 0.98, 0.95),
}
ADDRESS: Final = {
    "same": Weights(0.55, 1 / 200_000, 0.60),
    "most": Weights(0.15, 1 / 20_000, 0.16),
    "part": Weights(0.10, 1 / 400, 0.11),
    "differs": Weights(0.20, 0.99, 0.25),
}
IDENTIFIER: Final = {
    "same": Weights(0.90, 1 / 2_000_000, 1 / 500),  # a clerk mistakes one for another
    "near": Weights(0.07, 1 / 50_000, 1 / 500),
    "differs": Weights(0.03, 1.0, 1.0),
}
# Most members of a household give one telephone.
PHONE: Final = {
    "same": IDENTIFIER["same"]._replace(relatives=0.5),
    "near": IDENTIFIER["near"]._replace(relatives=0.04),
    "differs": IDENTIFIER["differs"],
}
SWAPPED: Final = Weights(0.014, 1.0, 1.0)  # name and surname in each other's field
HALF_SWAPPED: Final = Weights(0.003, 1.0, 1.0)  # one of them in the other's field

BECAUSE: Final = {
    ("person_name", "exact"): "same first name",
    ("person_name", "second"): "same first name, other second name",
    ("person_name", "nickname"): "one is a short form of the other",
    ("person_name", "near"): "similar first name, by spelling or sound",
    ("person_name", "part"): "another given name is the same",
    ("person_name", "initial"): "same initial",
    ("person_name", "swapped"): "name and surname swapped",
    ("person_name", "half_swapped"): "one name in the other's field",
    ("person_name", "differs"): "different first names",
    ("person_surname", "exact"): "same surname",
    ("person_surname", "part"): "a part of the surname is the same",
    ("person_surname", "near"): "similar surname, by spelling or sound",
    ("person_surname", "differs"): "different surnames",
    ("person_birthdate", "exact"): "same birthdate",
    ("person_birthdate", "swapped"): "day and month swapped",
    ("person_birthdate", "near"): "one digit apart, or only the year differs",
    ("person_birthdate", "day"): "same day, another year",
    ("person_birthdate", "year"): "same year",
    ("person_birthdate", "partial"): "the known parts are the same",
    ("person_birthdate", "differs"): "different birthdates",
    ("person_address", "same"): "same address",
    ("person_address", "most"): "most of the address is the same",
    ("person_address", "part"): "a part of the address is the same",
    ("person_address", "differs"): "different addresses",
}
BECAUSE_IDENTIFIER: Final = {
    "same": "same identifier",
    "near": "identifiers differ in one or two characters",
    "differs": "different identifiers",
}
