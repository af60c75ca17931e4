"""Verification of an audit log: finds lines that were changed, removed or truncated."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from peopleinfo.people import strict_json
from peopleinfo.privacy.audit import END, GENESIS_DIGEST, LINE_PREFIX, AuditRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from peopleinfo.privacy.audit_sink import Head


class Chain(msgspec.Struct):
    """The hash chain of one writer up to the current line."""

    seq: int
    digest: str
    first: int
    ended: bool = False


class VerificationReport(NamedTuple):
    """The number of lines that were checked, the chain of each writer, and a sentence for each problem."""

    lines: int
    chains: dict[str, Chain]
    problems: list[str]


def verify(lines: Iterable[bytes], heads: Mapping[str, Head] | None = None) -> VerificationReport:
    """Verify the hash chains in the lines of a log, oldest first; other lines are ignored.

    `heads` are the registered writers with the last line of each. Read them before the lines, so that writers may continue meanwhile.
    """
    heads = heads or {}
    chains: dict[str, Chain] = {}
    problems: list[str] = []
    count = 0
    for number, text in enumerate(lines, 1):
        line = parse_record(text)
        if line is None:
            if text.startswith(LINE_PREFIX):
                problems.append(f"line {number} cannot be read")
            continue
        count += 1
        digest = hashlib.sha256(text.rstrip(b"\n")).hexdigest()
        problems += _mismatches(number, line, chains.get(line.writer))
        head = heads.get(line.writer)
        if head is not None and head.seq == line.seq and head.digest != digest:
            problems.append(f"line {number}: the last registered line of writer {line.writer} was changed")
        _extend(chains, line, digest)
    return VerificationReport(count, chains, [*problems, *_missing(chains, heads)])


def parse_record(text: bytes) -> AuditRecord | None:
    """Decode a line of an audit log, None for any other line."""
    try:
        line = _decode(text)
    except strict_json.DECODE_ERRORS:
        return None
    return line if line.event == "audit" else None


_decode = msgspec.json.Decoder(AuditRecord).decode


def _extend(chains: dict[str, Chain], line: AuditRecord, digest: str) -> None:
    chain = chains.setdefault(line.writer, Chain(line.seq, digest, line.seq))
    chain.seq, chain.digest, chain.ended = line.seq, digest, line.action == END


def _mismatches(number: int, line: AuditRecord, chain: Chain | None) -> Iterator[str]:
    if chain is None:
        if line.seq == 1 and line.previous != GENESIS_DIGEST:
            yield f"line {number}: the first line of writer {line.writer} was changed"
    elif line.seq != chain.seq + 1:
        yield f"line {number}: line {line.seq} of writer {line.writer} follows line {chain.seq}: lines are missing or duplicated"
    elif line.previous != chain.digest:
        yield f"line {number}: this line or line {chain.seq} of writer {line.writer} was changed"


def _missing(chains: Mapping[str, Chain], heads: Mapping[str, Head]) -> Iterator[str]:
    for writer, chain in chains.items():
        if chain.first != 1:
            yield f"the lines of writer {writer} start at {chain.first}: pass the previous files, too"
        if heads and writer not in heads:
            yield f"writer {writer} is not registered: its lines were added, or its registration was removed"
    for writer, head in heads.items():
        written = chains[writer].seq if writer in chains else 0
        if written < head.seq:
            yield f"writer {writer} wrote {head.seq} lines, but the files contain {written}: the last lines are missing"
