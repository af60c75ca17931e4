"""Names of the months, folded: English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish and Danish."""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    "january januar janvier enero gennaio janeiro januari jaenner jan",
    "february februar fevrier febrero febbraio fevereiro februari feb",
    "march marz maerz mars marzo marco maart marts mar mrt mrz",
    "april avril abril aprile apr",
    "may mai mayo maggio maio mei maj",
    "june juni juin junio giugno junho jun",
    "july juli juillet julio luglio julho jul",
    "august aout agosto augustus augusti aug",
    "september septembre septiembre settembre setembro setiembre sep sept",
    "october oktober octobre octubre ottobre outubro oct okt",
    "november novembre noviembre novembro nov",
    "december dezember decembre diciembre dicembre dezembro desember dec dez",
)
MONTHS: Final = {name: number for number, names in enumerate(_NAMES, start=1) for name in names.split()}
