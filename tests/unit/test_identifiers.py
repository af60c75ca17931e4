"""Index keys of identifiers."""

import random

import phonenumbers
import pytest

from peopleinfo.people.identifiers import keys_of, mail_of, phone_digits, phone_key

TYPES = [phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE]


@pytest.mark.parametrize("prefix", ["", "0", "01", "06", "015", "15", "15628", "085", "80", "9"])
def test_phone_key_is_the_end_of_the_parsed_number(prefix: str) -> None:
    for country_code, number in example_numbers():
        for text in (f"+{country_code}{prefix}{number}", f"+{country_code} ({prefix}) {number[:3]}-{number[3:]}"):
            assert keys_of("phone", text) == (f"+{phone_key(phone_digits(text))}",), text


@pytest.mark.parametrize("text", ["+1 800 FLOWERS", "+1 212 555 0100 ext 5", "+44 12345", "0044 20 7946 0018", "12"])
def test_phone_key_of_an_unusual_text_is_that_of_the_parsed_number(text: str) -> None:
    assert keys_of("phone", text) == (f"+{phone_key(phone_digits(text))}",)


@pytest.mark.parametrize("text", ["a" * 100_000, "a@" * 50_000, "+" * 100_000 + "@example.org"])
def test_long_text_is_no_mail_address(text: str) -> None:
    assert mail_of(text) is None  # took minutes before


def example_numbers() -> list[tuple[int | None, str]]:
    """Return the country code and the national number of examples of every region."""
    chance = random.Random(1)
    examples = [
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in TYPES
    ]
    return [
        (found.country_code, f"{phonenumbers.national_significant_number(found)[:-4]}{chance.randrange(10_000):04}")
        for found in examples
        if found
    ]
