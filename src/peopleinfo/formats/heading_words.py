"""Words around a heading, folded: `What is your first name?`, `Vorname des Schülers`, `Name of the member`."""

from __future__ import annotations

import re
from typing import Final

# Words of a question before the heading.
QUESTION: Final = frozenset(
    (
        "what", "is", "whats", "please", "enter", "state", "give", "your", "you", "the", "votre", "ton", "ihr", "ihre", "dein", "deine",
        "tu", "su", "seu", "sua", "il", "tuo", "uw", "jouw", "din", "ditt", "twoje", "vase",
    )
)  # fmt: skip
# Words between the heading and the kind of person.
OF: Final = frozenset(
    (
        "of", "the", "des", "der", "du", "de", "la", "del", "della", "dello", "dell", "do", "da", "van", "het",
    )
)  # fmt: skip
# Kinds of person, which are no part of the heading.
KINDS: Final = frozenset(
    (
        "member", "patient", "student", "customer", "client", "contact", "employee", "person", "applicant", "donor", "participant",
        "recipient", "attendee", "guest", "pupil", "player", "volunteer", "resident", "subscriber", "passenger", "athlete", "child",
        "candidate", "learner", "tenant", "cardholder", "legal", "mitglied", "mitglieds", "mitgliedes", "schuler", "schulers",
        "schulerin", "kind", "kindes", "patienten", "kunde", "kunden", "teilnehmer", "teilnehmers", "mitarbeiter", "mitarbeiters",
        "spieler", "spielers", "eleve", "leleve", "salarie", "adherent", "ladherent", "membre", "enfant", "lenfant", "etudiant",
        "letudiant", "licencie", "joueur", "usager", "alumno", "socio", "cliente", "paciente", "persona", "estudiante", "empleado",
        "participante", "nino", "miembro", "alunno", "dellalunno", "paziente", "dipendente", "atleta", "studente", "bambino", "aluno",
        "associado", "funcionario", "pessoa", "leerling", "lid", "klant", "deelnemer", "medewerker", "ucznia", "uczen", "czlonka",
        "pacjenta", "klienta", "pracownika", "dziecka", "zaka", "ditete", "сотрудника", "сотрудник", "клиента", "пациента", "ученика",
        "учащегося", "ребенка", "студента", "участника", "учня", "дитини", "працівника",
    )
)  # fmt: skip
# Words that describe a group of columns: `Legal Name - First Name`, `Personal details: Surname`.
GROUPS: Final = frozenset(
    (
        "name", "names", "legal", "personal", "preferred", "primary", "main", "basic", "general", "biographical", "bio", "demographics",
        "profile", "info", "information", "details", "data", "worker", "individual", "identity", "personalien", "stammdaten", "angaben", "identite",
    )
)  # fmt: skip
# Words in parentheses after a heading of other data: `Name (company)`, `First name (mother)`, `Surname (at birth)`.
OTHER_SUBJECT: Final = re.compile(
    r"\b(?:company|organi[sz]ations?|business|employer|unternehmen|firma|arbeitgeber|entreprise|soci[ée]t[ée]|empresa|azienda|bedrijf"
    r"|mother|father|parents?|guardian|spouse|partner|husband|wife|child|emergency|vater|mutter|eltern|ehepartner|notfall|m[eè]re|p[eè]re|conjoint"
    r"|madre|padre|birth|maiden|former|previous|formerly|geburt|naissance|kontoinhaber|phonetic|reading|kana|furigana)\b"
    r"|カナ|かな|フリガナ|ふりがな",
    re.IGNORECASE,
)
# Languages of countries that write the day before the month: not English, nor languages that start with the year.
DAY_FIRST: Final = frozenset(
    (
        "de", "fr", "es", "it", "pt", "nl", "da", "no", "fi", "is", "et", "lv", "pl", "cs", "sk", "sl", "hr", "sr", "mk", "ro", "ca",
        "gl", "sq", "bg", "ru", "uk", "be", "el", "tr", "ar", "he", "hi", "th", "vi", "id", "ms",
    )
)  # fmt: skip
# Languages of countries where people have the surnames of both parents.
TWO_SURNAMES: Final = frozenset(("es", "ca", "gl"))
# Languages in which a particle at the start of a name would be a surname: Vietnamese Lê.
NO_PARTICLES: Final = frozenset(("vi", "zh", "ja", "ko", "hu", "th", "id", "ms", "km"))
