"""The checksum of a set of records depends on every record but not on their order."""

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


def test_checksum_is_the_sum_of_the_hashes() -> None:
    total = sum(int.from_bytes(sha256(one).digest()) for one in PEOPLE) % 2**256
    assert (digest(PEOPLE).people, digest(PEOPLE).hex) == (100, f"{total:064x}")


def test_checksum_depends_on_the_records_but_not_on_their_order() -> None:
    assert digest(PEOPLE) == digest(PEOPLE[::-1])
    assert digest(PEOPLE) != digest(PEOPLE[1:])
    assert digest(PEOPLE) != digest([*PEOPLE[1:], PEOPLE[1]])
    assert digest(PEOPLE) != digest([*PEOPLE[1:], body(0, "digest")])


def test_checksum_can_be_resumed() -> None:
    first = digest(PEOPLE[:40])
    second = SetChecksum(first.people, int(first.hex, 16))
    second.add(PEOPLE[40:])
    assert second == digest(PEOPLE)


def test_buckets_show_where_two_sets_differ() -> None:
    changed = [body(0, "changed"), *PEOPLE[1:-1]]
    differing = {bucket(sha256(str(number).encode()).hexdigest()) for number in (0, 99)}
    assert set(buckets(PEOPLE).differing(buckets(changed))) == differing
    assert buckets(PEOPLE).differing(buckets(PEOPLE[::-1])) == []
    assert buckets(PEOPLE).whole == digest(PEOPLE)
