"""Names of the months in many languages: those of imported files, and those of queries.

Both share the folded names in English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish and Danish.
"""

from __future__ import annotations

from typing import Final

from peopleinfo.people.folding import fold

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
"""Names in other languages, not folded. Listopad is missing: it is November in Polish and Czech, and October in Croatian."""

_QUERY_NAMES: Final = (
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia wrzesnia pazdziernika listopada grudnia",
    "ocak subat mart nisan mayis haziran temmuz agustos eylul ekim kasim aralik",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "ledna unora brezna dubna kvetna cervna cervence srpna zari rijna listopadu prosince",
    "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesakuuta heinakuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta",
    "ιανουαριου φεβρουαριου μαρτιου απριλιου μαιου ιουνιου ιουλιου αυγουστου σεπτεμβριου οκτωβριου νοεμβριου δεκεμβριου",  # noqa: RUF001
)
QUERY_MONTHS: Final = _MONTHS | {
    fold(name): number for names in _QUERY_NAMES for number, name in enumerate(names.split(), start=1)
}
"""Names in further languages, folded. Some of them are other months in other languages, so that files use `FILE_MONTHS`."""
