"""The digest of many people does not depend on their order, and tells every difference."""

from __future__ import annotations

from hashlib import sha256

from peopleinfo.bulk.checksum import BucketChecksums, SetChecksum, bucket
from peopleinfo.people.person import PersonData, encode_person


def body(number: int, surname: str = "Digest") -> bytes:
    person_id = sha256(str(number).encode()).hexdigest()[:32]
    return encode_person(person_id, 1, PersonData(person_surname=surname), created_at="1", updated_at="1").body


PEOPLE = [body(number) for number in range(100)]


def digest(bodies: list[bytes]) -> SetChecksum:
    made = SetChecksum()
    made.add(bodies)
    return made


def buckets(bodies: list[bytes]) -> BucketChecksums:
    made = BucketChecksums()
    made.add(bodies)
    return made


def test_it_is_the_sum_of_the_hashes() -> None:
    total = sum(int.from_bytes(sha256(one).digest()) for one in PEOPLE) % 2**256
    assert (digest(PEOPLE).people, digest(PEOPLE).hex) == (100, f"{total:064x}")


def test_the_order_does_not_matter_and_everything_else_does() -> None:
    assert digest(PEOPLE) == digest(PEOPLE[::-1])
    assert digest(PEOPLE) != digest(PEOPLE[1:])
    assert digest(PEOPLE) != digest([*PEOPLE[1:], PEOPLE[1]])
    assert digest(PEOPLE) != digest([*PEOPLE[1:], body(0, "digest")])


def test_it_goes_on_from_where_it_was() -> None:
    first = digest(PEOPLE[:40])
    second = SetChecksum(first.people, int(first.hex, 16))
    second.add(PEOPLE[40:])
    assert second == digest(PEOPLE)


def test_buckets_tell_where_two_sets_differ() -> None:
    changed = [body(0, "changed"), *PEOPLE[1:-1]]
    where = {bucket(sha256(str(number).encode()).hexdigest()) for number in (0, 99)}
    assert set(buckets(PEOPLE).differing(buckets(changed))) == where
    assert buckets(PEOPLE).differing(buckets(PEOPLE[::-1])) == []
    assert buckets(PEOPLE).whole == digest(PEOPLE)
