"""Division of names and addresses into words."""

from hypothesis import assume, given
from hypothesis import strategies as st

from peopleinfo.people.words import MAX_WORDS, unfolded_words

ASCII = st.text(st.characters(max_codepoint=127), max_size=30)


@given(ASCII)
def test_ascii_text_is_divided_like_any_other_text(text: str) -> None:
    *words, last = unfolded_words(f"{text} ñ")
    assume(words and len(words) < MAX_WORDS - 1)
    assert (unfolded_words(text), last) == (words, "ñ")


def test_text_of_punctuation_is_one_word() -> None:
    assert [unfolded_words("--"), unfolded_words("·")] == [["--"], ["·"]]
