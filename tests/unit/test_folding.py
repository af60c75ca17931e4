"""Spellings of a name have the same search key."""

from __future__ import annotations

import tracemalloc
import unicodedata
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.people.folding import (
    _APOSTROPHES,
    _HYPHENS,
    _PERIODS,
    _TRANSLITERATION,
    fold,
    is_visible,
    outdated_fold,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Key and spellings of a surname, from about forty countries.
ONE_NAME = [
    ("muller", ["Müller", "MÜLLER", "MULLER", "Muller", "Mu\u0308ller", "Mül-ler"]),  # Germany
    ("strasse", ["Straße", "STRASSE", "STRAẞE", "Strasse"]),  # Austria
    ("oster", ["Øster", "ØSTER", "Oster", "Öster"]),  # Denmark, Sweden
    ("sorensen", ["Sørensen", "SORENSEN"]),  # Norway
    ("jokinen", ["Jokinen", "jokinen "]),  # Finland
    ("thorsson", ["Þórsson", "Thorsson", "ÞÓRSSON"]),  # Iceland
    ("gudmundsdottir", ["Guðmundsdóttir", "Gudmundsdottir"]),  # Iceland
    ("obrien", ["O'Brien", "O’Brien", "OBRIEN", "O`Brien", "Oʼbrien", "O´Brien"]),  # Ireland
    ("macgabhann", ["MacGabhann", "Mac-Gabhann"]),  # Ireland
    ("stjohn", ["St. John", "St John", "ST.  JOHN"]),  # England
    ("smithjones", ["Smith-Jones", "Smith‐Jones", "Smith\u00adJones"]),  # Wales
    ("dartagnan", ["d'Artagnan", "D’ARTAGNAN"]),  # France
    ("francois", ["François", "FRANCOIS"]),  # France
    ("coeur", ["Cœur", "Coeur", "CŒUR"]),  # France
    ("nunez", ["Núñez", "NUNEZ"]),  # Spain
    ("goncalves", ["Gonçalves", "Goncalves"]),  # Portugal
    ("puigdemonticasamajo", ["Puigdemont i Casamajó"]),  # Catalonia
    ("collell", ["Coŀlell", "Col·lell", "Collell"]),  # Catalonia
    ("thooft", ["'t Hooft", "’t Hooft", "T HOOFT"]),  # Netherlands
    ("ijsbrand", ["Ĳsbrand", "IJsbrand"]),  # Netherlands
    ("walesa", ["Wałęsa", "Walesa", "WAŁĘSA"]),  # Poland
    ("dvorak", ["Dvořák", "DVORAK"]),  # Czechia
    ("lubos", ["Ľuboš", "Lubos"]),  # Slovakia
    ("szocs", ["Szőcs", "Szocs"]),  # Hungary
    ("djokovic", ["Djoković", "Djokovic"]),  # Serbia
    ("dokovic", ["Đoković", "Dokovic"]),  # Croatia
    ("tudoreanu", ["Țudoreanu", "Ţudoreanu", "Tudoreanu"]),  # Romania: comma and cedilla
    ("yildiz", ["Yıldız", "YILDIZ", "Yildiz"]),  # Turkey
    ("istanbullu", ["İstanbullu", "istanbullu", "ISTANBULLU"]),  # Turkey
    ("gulen", ["Gülen", "GULEN"]),  # Turkey
    ("eliyev", ["Əliyev", "əliyev"]),  # Azerbaijan
    ("zemaitis", ["Žemaitis", "ZEMAITIS"]),  # Lithuania
    ("berzins", ["Bērziņš", "Berzins"]),  # Latvia
    ("oun", ["Õun", "Oun"]),  # Estonia
    ("borg", ["Borġ", "Borg"]),  # Malta
    ("hadjichristos", ["Ħadjichristos", "Hadjichristos"]),  # Cyprus
    ("nguyen", ["Nguyễn", "NGUYEN", "Nguye\u0302\u0303n"]),  # Vietnam
    ("dang", ["Đặng", "Dang"]),  # Vietnam
    ("kealoha", ["Keʻaloha", "Ke'aloha", "Kealoha"]),  # Hawaii
    ("okoli", ["Ọ́kọlị", "Okoli"]),  # Nigeria
    ("ngugi", ["Ngũgĩ", "NGUGI"]),  # Kenya
    ("παπαδοπουλοσ", ["Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ", "παπαδοπουλος"]),  # Greece: three forms of sigma
    ("достоевскии", ["Достоевский", "ДОСТОЕВСКИЙ"]),  # Russia
    ("королев", ["Королёв", "Королев", "КОРОЛЁВ"]),  # Russia
    ("шевченко", ["Шевченко", "ШЕВЧЕНКО"]),  # Ukraine
    ("хемінгуеи", ["Хемінгуей"]),  # Ukraine
    ("ґалаґан", ["Ґалаґан", "ҐАЛАҐАН"]),  # Ukraine
    ("სააკაშვილი", ["სააკაშვილი", "ᲡᲐᲐᲙᲐᲨᲕᲘᲚᲘ"]),  # Georgia
    ("խաչատրյան", ["Խաչատրյան", "ԽԱՉԱՏՐՅԱՆ"]),  # Armenia
    ("כהנ", ["כהן", "כֹּהֵן"]),  # Israel
    ("احمد", ["أحمد", "احمد", "أَحْمَد"]),  # Egypt
    ("林", ["林"]),  # China
    ("吉田", ["𠮷田", "吉田"]),  # Japan, outside the basic multilingual plane
    (
        "シヤンホ\u30fcル",
        ["ジャン・ポール", "ジャンポール", "ｼﾞｬﾝ･ﾎﾟｰﾙ"],
    ),  # Japan: full width, half width, without the dot
    ("김", ["김", "\u1100\u1175\u11b7"]),  # Korea, composed and decomposed
    ("smith", ["Ｓｍｉｔｈ", "ＳＭＩＴＨ"]),  # Japan: full width
    ("กอไก", ["กอไก่", "กอไก"]),  # Thailand: without the tone mark
    ("शरम", ["शर्म"]),  # India: without the virama
    ("தமிழ", ["தமிழ்"]),  # Sri Lanka
    ("haileselassie", ["Haile Selassie", "HAILE  SELASSIE", "Haile\u00a0Selassie"]),  # Ethiopia
    ("ኃይለ", ["ኃይለ"]),  # Ethiopia
    ("garcialopez", ["García-López", "Garcia Lopez", "garcialopez", "GARCIA  LOPEZ"]),  # Spain: double surname
    ("vanderberg", ["van der Berg", "Van Der Berg", "vanderberg"]),  # Netherlands: particles
    ("almasri", ["Al-Masri", "Al Masri", "almasri"]),  # Syria
    ("macdonald", ["MacDonald", "Mac Donald"]),  # Scotland
    ("obrien", ["O Brien", "O’Brien", "O.Brien"]),  # Ireland
    ("الدوري", ["الدوري", "الدورى", "الدوری"]),  # Iraq, Egypt, Iran: final yeh
    ("محمد", ["محمد", "محمـــد", "مُحَمَّد"]),  # stretched, with vowel signs
    ("كريمي", ["کریمی", "كريمي"]),  # Iran, Iraq: kaf and yeh
    ("فاطمه", ["فاطمة", "فاطمه"]),  # Egypt: feminine ending
    ("الاحمد", ["ٱلأحمد", "الاحمد"]),  # alef wasla, hamza
    ("שלומ", ["שלום", "שָׁלוֹם"]),  # Israel: final mem
    ("高桥", ["髙橋", "高橋", "髙槗"]),  # Japan: forms of family registers
    ("沢田", ["澤田", "沢田", "泽田"]),  # Japan: old and new
    ("广濑", ["廣瀬", "広瀬"]),
    ("刘徳华", ["劉德華", "刘德华"]),  # China: traditional and simplified
    ("佐佐木", ["佐々木", "佐佐木"]),
    ("サクラ", ["さくら", "サクラ", "ｻｸﾗ"]),  # Japan: hiragana, katakana
    ("リヨウ", ["りょう", "リョウ"]),
]


@pytest.mark.parametrize(("key", "spellings"), ONE_NAME)
def test_spellings_of_a_name_have_the_same_key(key: str, spellings: list[str]) -> None:
    assert {spelling: fold(spelling) for spelling in spellings} == dict.fromkeys(spellings, key)


DIFFERENT = [
    ("Müller", "Möller"),
    ("Li", "Lee"),
    ("Иванов", "Ivanov"),
    ("Smith", "Smyth"),
    ("De La Cruz", "Della Croce"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize("name", ["'", "-", "...", "\u0301", "\u200d", "´", "\u00ad-", "’’"])
def test_name_of_marks_and_punctuation_has_a_key(name: str) -> None:
    assert fold(name)
    assert fold(fold(name)) == fold(name)


def test_key_of_whitespace_is_empty() -> None:
    assert fold(" \t\u00a0\u3000") == ""


@pytest.mark.parametrize("letter", sorted(map(chr, _TRANSLITERATION)))
def test_transliteration_contains_the_usual_ascii_spellings(letter: str) -> None:
    plain = fold(letter)
    assert plain.isascii()
    assert plain.islower()
    assert fold(letter.upper()) == plain


# Letters with the properties that folding depends on; random letters rarely have them.
tricky = st.sampled_from([
    *"abzABZ ßẞıİŉǰΐΰςΣσᾳᾼﬁﬃĲǅǄŀøØłŁđĐðÐæœþŋəʼ'’-‐.·・…´῀᾽", *"\u0301\u0308\u0327\u0345\u200d\u00a0\u3000",
    *"ЙйЁёЇїაᲐꭰᎠკأﷺ가각힣林林Å", "\U0001e943", "\U0001f1e6", "\U0010ffff",
])  # fmt: skip
text = st.text(tricky | st.characters(exclude_categories=["Cs"]), max_size=12)


@given(text)
def test_folding_is_idempotent(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(text.map(lambda name: unicodedata.normalize("NFC", name)), st.sampled_from([str.upper, str.title, str.casefold]))
def test_key_does_not_depend_on_case(name: str, recase: Callable[[str], str]) -> None:
    assert fold(recase(name)) == fold(name)


@given(text.map(lambda name: unicodedata.normalize("NFC", name)), st.sampled_from(["NFD", "NFC"]))
def test_key_does_not_depend_on_unicode_normalization(name: str, form: Literal["NFC", "NFD"]) -> None:
    assert fold(unicodedata.normalize(form, name)) == fold(name)


latin = st.text(st.characters(max_codepoint=0x24F, categories=["L"]), min_size=1, max_size=12)


@given(latin, st.integers(1, 12), st.sampled_from(_APOSTROPHES + _HYPHENS + _PERIODS))
def test_key_does_not_depend_on_apostrophes_hyphens_or_periods(name: str, position: int, sign: str) -> None:
    assert fold(name[:position] + sign + name[position:]) == fold(name)


@given(latin, st.integers(1, 12), st.sampled_from("\u0300\u0301\u0308\u0327\u0328\u030c\u0323"))
def test_key_does_not_depend_on_accents(name: str, position: int, accent: str) -> None:
    assert fold(name[:position] + accent + name[position:]) == fold(name)


@given(latin, latin)
def test_key_does_not_depend_on_whitespace(one: str, other: str) -> None:
    assert fold(f"  {one} \u3000 {other}\t") == fold(one + other)


@pytest.mark.parametrize(
    "name", ["\u200b", "\u2060\ufeff", "\u3164", "\u2800", "\u034f", "\u0301", "\ufe0f", "\u115f\u1160"]
)
def test_invisible_name_is_not_visible(name: str) -> None:
    assert not is_visible(name)


@pytest.mark.parametrize("name", ["a", "'", "7", "X Æ A-12", "★", "😀", "李", "\u200ba", "ʻ", "\ue000"])
def test_name_with_a_letter_digit_or_sign_is_visible(name: str) -> None:
    assert is_visible(name)


@pytest.mark.parametrize(
    ("name", "key"), [("Garcia  López", "garcia lopez"), ("الدورى", "الدورى"), ("O’Brien", "obrien"), ("髙橋", "髙橋")]
)
def test_outdated_fold_returns_the_key_of_the_previous_version(name: str, key: str) -> None:
    assert outdated_fold(name) == key


def test_long_names_are_not_cached() -> None:
    tracemalloc.start()
    try:
        for number in range(1_000):
            assert len(fold(f"{number:010000d}")) == 10_000
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 1_000_000
