"""Import of NDJSON files and of JSON arrays of any length."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.bulk.rows import InvalidRow, Row, RowResult, SkippedRow
from peopleinfo.errors import FieldError, InvalidInput
from peopleinfo.formats import ndjson
from peopleinfo.formats.column_mapping import ColumnMapping
from peopleinfo.formats.reader import read
from peopleinfo.people import strict_json

MEGABYTE = 1024 * 1024


def rows(data: bytes, columns: ColumnMapping | None = None, **options: Any) -> list[Row]:
    return list(read(io.BufferedReader(io.BytesIO(data)), columns, **options).rows)


def test_each_line_is_a_row_and_successive_blank_lines_are_one_skipped_row() -> None:
    found = rows(b'{"person_surname":"A"}\n\n  \n{"person_surname":"B"}\n ')
    assert [(row.line, row.data) for row in found] == [
        (1, {"person_surname": "A"}),
        (2, SkippedRow("2 rows are blank", rows=2)),
        (4, {"person_surname": "B"}),
        (5, SkippedRow("the row is blank")),
    ]


def test_line_that_is_not_json_has_an_error() -> None:
    (_, bad, good) = rows(b'{"a":1}\n{"person_surname":\n{"person_surname":"B"}\n')
    assert isinstance(bad.data, InvalidRow)
    assert (bad.raw, good.data) == (b'{"person_surname":', {"person_surname": "B"})


def test_byte_order_mark_is_ignored() -> None:
    assert rows(b'\xef\xbb\xbf{"person_surname":"A"}\n')[0].data == {"person_surname": "A"}


def test_line_above_the_limit_is_skipped_completely() -> None:
    long = b'{"a":"' + b"x" * (3 * MEGABYTE) + b'"}\n'
    first, second = rows(long + b'{"person_surname":"B"}\n', form="ndjson")
    assert isinstance(first.data, InvalidRow)
    assert (second.line, second.data) == (2, {"person_surname": "B"})


def test_each_array_element_is_a_row_with_its_line() -> None:
    found = rows(b'[\n {"person_surname": "A"},\n\n {"person_surname":\n "B"} , 5\n]\n')
    assert [(row.line, row.data) for row in found[:2]] == [(2, {"person_surname": "A"}), (4, {"person_surname": "B"})]
    assert found[2].raw == b"5"


def test_empty_array_has_no_rows() -> None:
    assert rows(b" [ ] ") == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunk_size_does_not_change_the_rows_of_an_array(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "_CHUNK_SIZE", size)
    text = '[{"a":"Mü\\"[,]{ller"}, 12.50, -1e400 ,true,null,"x",[1,[2]],\n{"b":{}}]'.encode()
    found = rows(text, form="json")
    assert [row.raw for row in found] == [
        '{"a":"Mü\\"[,]{ller"}'.encode(), b"12.50", b"-1e400", b"true", b"null", b'"x"', b"[1,[2]]", b'{"b":{}}',
    ]  # fmt: skip
    assert found[-1].line == 2


@pytest.mark.parametrize("text", ['[{"a":1} {"a":2}]', '[{"a":1},', '[{"a":1},]', "[{'a':1}]", '[{"a":1}', "[\xff]"])
def test_rest_of_an_array_after_an_error_is_rejected_with_its_line(text: str) -> None:
    with pytest.raises(InvalidInput, match="line 1"):
        rows(text.encode("latin-1"))


@pytest.mark.parametrize("separators", ["[{},{},{}]", "{}\n{}\n{}\n", '{{"resourceType":"Bundle","entry":[{},{},{}]}}'])
@pytest.mark.parametrize("name", [b"M\xfcller", b"\xed\xa0\x80", b"\xe2\x82", b"\xc0\x80"])
def test_bytes_that_are_not_utf8_reject_only_their_value(separators: str, name: bytes) -> None:
    values = ['{"person_surname":"A"}', '{"person_surname":"NAME"}', '{"person_surname":"B"}']
    found = rows(separators.format(*values).encode().replace(b"NAME", name))
    assert [isinstance(row.data, InvalidRow) for row in found] == [False, True, False]
    assert name in found[1].raw


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_mark_decides_the_encoding(encoding: str) -> None:
    assert [row.data for row in rows('[{"person_surname":"Müller"}]'.encode(encoding))] == [
        {"person_surname": "Müller"}
    ]


def test_array_is_streamed() -> None:
    element = b'{"person_surname":"' + b"x" * 1000 + b'"},'
    stream = io.BytesIO(b"[" + element * 5_000 + b"1]")
    source = read(io.BufferedReader(stream), form="json")
    found = iter(source.rows)
    for _ in range(10):
        next(found)
    assert stream.tell() < MEGABYTE


@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
def test_compressed_files_are_decompressed(form: str) -> None:
    text = {"ndjson": b'{"person_surname":"A"}\n', "json": b'[{"person_surname":"A"}]', "csv": b"surname\nA\n"}[form]
    source = read(io.BufferedReader(io.BytesIO(gzip.compress(text))))
    assert (source.format, [row.data for row in source.rows]) == (form, [{"person_surname": "A"}])


def test_fields_are_mapped_and_joined() -> None:
    columns = ColumnMapping({"person_surname": "last", "person_address": "street city"}, ["%d/%m/%Y"])
    data = b'{"last":"A","street":"1 Road","city":"Town","person_birthdate":"11/02/1990","n":1.50}'
    mapped = {"person_surname": "A", "person_address": "1 Road Town", "person_birthdate": "1990-02-11"}
    assert rows(data, columns)[0].data == mapped | {"n": strict_json.parse(b"1.50")}


def test_keys_are_recognized_like_headings() -> None:
    assert rows(b'{"givenName":"A","familyName":"B"}')[0].data == {"person_name": "A", "person_surname": "B"}


def test_keys_beside_a_standard_name_keep_their_names() -> None:
    assert rows(b'{"person_surname":"A","name":"B","dob":"C"}')[0].data == {
        "person_surname": "A",
        "name": "B",
        "dob": "C",
    }


def test_members_next_to_a_list_of_people_are_reported() -> None:
    person = '{"person_surname":"A"}'
    _, skipped = rows(f'{{"people":[{person}],"pageSize":9}}'.encode())
    _, rejected = rows(f'{{"people":[{person}],"surname":"B"}}'.encode())
    assert skipped.data == SkippedRow("the members next to the list of people are not stored: pageSize")
    assert rejected.data == InvalidRow("has a list of people and the fields of a person (surname): remove one of them")


def test_rejected_rows_can_be_corrected_and_imported_again() -> None:
    source = read(io.BufferedReader(io.BytesIO(b'{"person_surname":"A","n":1.50}\nnonsense\n')), form="ndjson")
    file = io.BytesIO()
    rejects = source.rejects(file)
    for row in source.rows:
        rejects.write(RowResult(row, "rejected", None, (FieldError("/n", "is wrong"),)))
    first, second = file.getvalue().splitlines()
    assert first == b'{"person_surname":"A","n":1.50,"reject_line":1,"reject_reason":"n is wrong"}'
    assert b'"reject_text":"nonsense"' in second
    assert rows(first)[0].data == strict_json.parse(b'{"person_surname":"A","n":1.50}')


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(
        st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(values, min_size=1, max_size=6), st.integers(1, 40))
def test_any_array_is_split_into_its_elements(elements: list[Any], size: int) -> None:
    sources = [strict_json.encode(element) for element in elements]
    before, ndjson._CHUNK_SIZE = ndjson._CHUNK_SIZE, size  # type: ignore[misc] # a small piece for this example alone
    try:
        assert [row.raw for row in rows(b"[" + b",".join(sources) + b"]", form="json")] == sources
    finally:
        ndjson._CHUNK_SIZE = before  # type: ignore[misc]
