"""GitHub's expressions (`${{ … }}` and `if:`), evaluated as its documentation describes them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

Context = dict[str, Any]

_EMBEDDED: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_TOKEN: Final = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|(&&|\|\||[=!]=|[!().,\[\]*])|([A-Za-z_][\w-]*))")
_STATUS: Final = re.compile(r"\b(success|failure|cancelled|always)\(")
_WORDS: Final = {"true": True, "false": False, "null": None}


def interpolate(text: str, context: Context) -> str:
    """Return a text with the values of its embedded expressions."""
    return _EMBEDDED.sub(lambda found: to_text(evaluate(found[1], context)), text)


def value(text: Any, context: Context) -> Any:
    """Return the value of a field: that of its expression if it is a single one, otherwise its text."""
    if not isinstance(text, str):
        return text
    single = _EMBEDDED.fullmatch(text.strip())
    return evaluate(single[1], context) if single else interpolate(text, context)


def holds(condition: str | None, context: Context) -> bool:
    """Return whether an `if` condition is true; without a status function, it implies success()."""
    text = "success()" if condition is None else str(condition).strip()
    text = _EMBEDDED.fullmatch(text)[1] if _EMBEDDED.fullmatch(text) else text  # type: ignore[index]
    return truthy(evaluate(text if _STATUS.search(text) else f"success() && ({text})", context))


def evaluate(text: str, context: Context) -> Any:
    """Return the value of an expression. Raises ValueError for an invalid expression."""
    return _Parser(text, context).parse()


def truthy(one: Any) -> bool:
    return one not in (None, False, 0, "")


def to_text(one: Any) -> str:
    """Return a value as GitHub formats it in a text."""
    if isinstance(one, bool):
        return "true" if one else "false"
    return "" if one is None else str(one) if isinstance(one, (str, int, float)) else json.dumps(one)


def equal(left: Any, right: Any) -> bool:
    """Compare without case, and values of different types as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return bool(left == right) if type(left) is type(right) else _number(left) == _number(right)


def _number(one: Any) -> float:
    try:
        return float(one or 0)
    except (TypeError, ValueError):
        return float("nan")


def _contains(container: Any, item: Any) -> bool:
    return any(equal(one, item) for one in container) if isinstance(container, list) else to_text(item).lower() in to_text(container).lower()  # fmt: skip


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "contains": _contains,
    "startsWith": lambda text, prefix: to_text(text).lower().startswith(to_text(prefix).lower()),
    "endsWith": lambda text, suffix: to_text(text).lower().endswith(to_text(suffix).lower()),
    "fromJSON": json.loads,
    "toJSON": json.dumps,
    "format": lambda text, *arguments: text.format(*map(to_text, arguments)),
}


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, context: Context) -> None:
        self._tokens: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if not found:
                raise ValueError(f"invalid expression: {text[at:]}")
            self._tokens.append(found.group().strip())
            at = found.end()
        self._context = context
        self._text = text

    def parse(self) -> Any:
        result = self._either()
        if self._tokens:
            raise ValueError(f"{self._tokens[0]} is unexpected in {self._text}")
        return result

    def _take(self, *wanted: str) -> str | None:
        return self._tokens.pop(0) if self._tokens and (not wanted or self._tokens[0] in wanted) else None

    def _either(self) -> Any:
        left = self._both()
        while self._take("||"):
            right = self._both()
            left = left if truthy(left) else right
        return left

    def _both(self) -> Any:
        left = self._comparison()
        while self._take("&&"):
            right = self._comparison()
            left = right if truthy(left) else left
        return left

    def _comparison(self) -> Any:
        left = self._unary()
        while operator := self._take("==", "!="):
            left = equal(left, self._unary()) is (operator == "==")
        return left

    def _unary(self) -> Any:
        return not truthy(self._unary()) if self._take("!") else self._operand()

    def _operand(self) -> Any:
        token = self._take()
        if token is None:
            raise ValueError(f"{self._text} is incomplete")
        if token == "(":
            result = self._either()
            self._take(")")
        elif token.startswith("'"):
            result = token[1:-1].replace("''", "'")
        elif token[:1].isdigit():
            result = float(token)
        elif self._take("("):
            result = self._call(token)
        else:
            result = _WORDS[token] if token in _WORDS else self._context.get(token)
        return self._inside(result)

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._take(")"):
            if not self._tokens:
                raise ValueError(f"{name}( is not closed in {self._text}")
            arguments.append(self._either())
            self._take(",")
        return (FUNCTIONS | self._context["functions"])[name](*arguments)

    def _inside(self, one: Any) -> Any:
        """Follow `.name`, `['name']` and `.*`."""
        while mark := self._take(".", "["):
            name = self._either() if mark == "[" else self._take()
            if mark == "[":
                self._take("]")
            if name == "*":
                names = self._path()
                return [_member(item, names) for item in one or ()]
            one = one.get(name) if isinstance(one, dict) else None
        return one

    def _path(self) -> list[str]:
        names = []
        while self._take("."):
            names.append(self._take() or "")
        return names


def _member(one: Any, names: list[str]) -> Any:
    for name in names:
        one = one.get(name) if isinstance(one, dict) else None
    return one
