"""Names of the months in many languages, for imported files and for queries."""

from __future__ import annotations

from typing import Final

from peopleinfo.people.folding import fold

# English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish and Danish, folded.
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
_MONTHS: Final = {name: number for number, names in enumerate(_NAMES, start=1) for name in names.split()}

# Polish, Czech, Finnish, Romanian, Turkish, Estonian, Indonesian; Russian, Ukrainian, Bulgarian; Greek; Arabic.
_FILE_NAMES: Final = (
    "styczeń stycznia leden ledna tammikuu tammikuuta ianuarie ocak jaanuar януари январь января янв січень січня ιανουάριος ιανουαρίου يناير",
    "luty lutego únor února helmikuu helmikuuta februarie şubat veebruar pebruari февруари февраль февраля фев лютий лютого φεβρουάριος φεβρουαρίου فبراير",
    "marzec marca březen března maaliskuu maaliskuuta martie mart märts maret март марта березень березня μάρτιος μαρτίου مارس",
    "kwiecień kwietnia duben dubna huhtikuu huhtikuuta aprilie nisan aprill априль апреля апрел април квітень квітня απρίλιος απριλίου أبريل",
    "maja květen května toukokuu toukokuuta mayıs май мая травень травня μάιος μαΐου مايو",  # noqa: RUF001
    "czerwiec czerwca červen června kesäkuu kesäkuuta iunie haziran juuni июнь июня юни червень червня ιούνιος ιουνίου يونيو",
    "lipiec lipca červenec července heinäkuu heinäkuuta iulie temmuz juuli июль июля юли липень липня ιούλιος ιουλίου يوليو",
    "sierpień sierpnia srpen srpna elokuu elokuuta ağustos agustus август августа авг серпень серпня αύγουστος αυγούστου أغسطس",
    "wrzesień września září syyskuu syyskuuta septembrie eylül септември сентябрь сентября сен вересень вересня σεπτέμβριος σεπτεμβρίου سبتمبر",
    "październik października říjen října lokakuu lokakuuta octombrie ekim oktoober октомври октябрь октября окт жовтень жовтня οκτώβριος οκτωβρίου أكتوبر",
    "marraskuu marraskuuta noiembrie kasım ноември ноябрь ноября листопада νοέμβριος νοεμβρίου نوفمبر",  # noqa: RUF001
    "grudzień grudnia prosinec prosince joulukuu joulukuuta decembrie aralık detsember декември декабрь декабря дек грудень грудня δεκέμβριος δεκεμβρίου ديسمبر",  # noqa: RUF001
)  # fmt: skip
FILE_MONTHS: Final = _MONTHS | {
    name: number for number, names in enumerate(_FILE_NAMES, start=1) for name in names.split()
}
"""Names as files spell them. Listopad is missing: it is November in Polish and Czech, and October in Croatian."""

QUERY_MONTHS: Final = {fold(name): number for name, number in FILE_MONTHS.items()} | {"listopada": 11, "listopadu": 11}
"""The names, folded, with the Polish and the Czech genitive of November: a query has no other rows that decide the language."""
