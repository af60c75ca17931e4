"""What the pages are made of, and what they forbid; no browser is needed to see it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from peopleinfo.console.static_files import OPERATOR, assets
from tests.http.serving import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

PAGES = ("/console", "/console/people/new", f"/console/people/{'0' * 32}", f"/console/people/{'0' * 32}/edit")


def size(kind: str) -> int:
    return sum(len(text) for name, text in assets().files.items() if name.endswith(kind))


def test_scripts_are_below_40_kilobytes_in_all() -> None:
    assert 0 < size(".js") < 40_000


def test_no_text_of_a_script_loses_blanks_where_operators_do() -> None:
    for script in (REPOSITORY / "src" / "peopleinfo" / "console" / "static").glob("*.js"):
        for text in re.findall(rb'"[^"\n]*"', script.read_bytes()):
            assert OPERATOR.search(text) is None, (script.name, text)


def test_styles_are_below_25_kilobytes() -> None:
    assert 0 < size(".css") < 25_000


@pytest.mark.parametrize("path", PAGES)
def test_a_page_allows_our_own_files_and_nothing_else(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_can_be_put_into_a_frame(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_script_or_style_of_its_own_and_names_no_other_host(client: httpx.Client, path: str) -> None:
    page = client.get(path).text
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page) == []
    assert re.findall(r"""(?:src|href|action)=["']?(?:https?:|//)""", page) == []
    for reference in re.findall(r'(?:src|href)="(/console/static/[^"]*)"', page):
        assert client.get(reference).status_code == 200, reference


@pytest.mark.parametrize(
    ("ending", "kind"), [(".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")]
)
def test_files_are_what_they_say_and_may_be_kept_for_ever(client: httpx.Client, ending: str, kind: str) -> None:
    path = re.findall(rf'"(/console/static/[^"]*{ending})"', client.get("/console").text)[0]
    answer = client.get(path)
    assert answer.headers["Content-Type"].startswith(kind)
    assert "immutable" in answer.headers["Cache-Control"]
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/console/static/0123/dom.js", f"/console/static/{assets().digest}/none.js", "/console/static/x/../../pages.py"],
)
def test_what_is_no_file_of_this_version_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_what_is_no_page_is_said_to_be_none_in_a_page(client: httpx.Client) -> None:
    answer = client.get("/console/no/such")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "no/such" not in answer.text


def test_the_root_leads_to_the_console(client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/console")


@pytest.mark.parametrize("theme", ["dark", "light", '"><script>', "DARK", ""])
def test_a_page_is_light_or_dark_as_was_chosen(client: httpx.Client, theme: str) -> None:
    page = client.get("/console", headers={"Cookie": f"peopleinfo_theme={theme}"}).text
    assert (f'<html lang="en" data-theme="{theme}">' in page) == (theme in ("dark", "light"))
    assert '<html lang="en">' in page or theme in ("dark", "light")


def test_a_wheel_has_every_page_and_file(tmp_path: Path) -> None:
    build = "import flit_core.buildapi, sys; print(flit_core.buildapi.build_wheel(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    packed = set(zipfile.ZipFile(tmp_path / made.stdout.strip()).namelist())
    console = REPOSITORY / "src" / "peopleinfo" / "console"
    files = {
        f"peopleinfo/console/{file.relative_to(console)}" for file in console.rglob("*.*") if file.suffix != ".pyc"
    }
    assert len(files) > 20
    assert files <= packed


def test_templates_are_not_read_before_somebody_opens_a_page() -> None:
    look = "import sys, peopleinfo.console.pages as p; from peopleinfo.http import app; print('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "False\n"
