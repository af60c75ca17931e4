"""Pages, static files and security headers, tested without a browser."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from peopleinfo.console.pages import PAGES as CONSOLE_PAGES
from peopleinfo.console.static_files import assets
from tests.http.serving import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

PAGES = ("/console", "/console/people/new", f"/console/people/{'0' * 32}", f"/console/people/{'0' * 32}/edit")


def scripts_of(name: str, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return a script and the scripts that it imports, directly or not."""
    if name in known:
        return known
    known |= {name}
    for imported in re.findall(rb'(?:from|import)\(?\s*"\./([\w.]+)"', assets().files[name]):
        known = scripts_of(imported.decode(), known)
    return known


@pytest.mark.parametrize("script", sorted({page.script for page in CONSOLE_PAGES.values()}))
def test_scripts_of_a_page_are_smaller_than_32_kilobytes(script: str) -> None:
    loaded = scripts_of("layout.js", scripts_of(script))  # the layout is the first script of each page
    assert {"dom.js", "layout.js", "undo.js"} <= loaded
    assert sum(len(assets().files[name]) for name in loaded) < 32_000


def test_styles_of_a_page_are_smaller_than_25_kilobytes() -> None:
    sizes = {name: len(text) for name, text in assets().files.items() if name.endswith(".css")}
    shared = sizes.pop("console.css")
    assert 0 < shared + max(sizes.values()) < 25_000


def test_no_script_nests_template_literals() -> None:
    # The minifier removes blanks in the inner literal.
    for script in (REPOSITORY / "src" / "peopleinfo" / "console" / "static").glob("*.js"):
        assert re.findall(r"\$\{[^}`]*`", script.read_text(encoding="utf-8")) == [], script.name


@pytest.mark.parametrize("path", PAGES)
def test_content_security_policy_allows_own_files_only(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_pages_cannot_be_framed(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_no_inline_code_and_no_references_to_other_hosts(client: httpx.Client, path: str) -> None:
    page = client.get(path).text
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page) == []
    assert re.findall(r"""(?:src|href|action)=["']?(?:https?:|//)""", page) == []
    for reference in re.findall(r'(?:src|href)="(/console/static/[^"]*)"', page):
        assert client.get(reference).status_code == 200, reference


@pytest.mark.parametrize(
    ("ending", "kind"), [(".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")]
)
def test_static_files_have_a_media_type_and_are_immutable(client: httpx.Client, ending: str, kind: str) -> None:
    path = re.findall(rf'"(/console/static/[^"]*{ending})"', client.get("/console").text)[0]
    answer = client.get(path)
    assert answer.headers["Content-Type"].startswith(kind)
    assert "immutable" in answer.headers["Cache-Control"]
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/console/static/0123/dom.js", f"/console/static/{assets().digest}/none.js", "/console/static/x/../../pages.py"],
)
def test_static_file_of_another_version_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_unknown_path_returns_the_not_found_page(client: httpx.Client) -> None:
    answer = client.get("/console/no/such")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "no/such" not in answer.text


def test_root_redirects_to_the_console(client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/console")


@pytest.mark.parametrize("theme", ["dark", "light", '"><script>', "DARK", ""])
def test_theme_cookie_selects_the_theme(client: httpx.Client, theme: str) -> None:
    page = client.get("/console", headers={"Cookie": f"peopleinfo_theme={theme}"}).text
    assert (f'<html lang="en" data-theme="{theme}">' in page) == (theme in ("dark", "light"))
    assert '<html lang="en">' in page or theme in ("dark", "light")


def test_wheel_contains_every_template_and_static_file(tmp_path: Path) -> None:
    build = "import flit_core.buildapi, sys; print(flit_core.buildapi.build_wheel(sys.argv[1]))"
    build_result = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    wheel_files = set(zipfile.ZipFile(tmp_path / build_result.stdout.strip()).namelist())
    console = REPOSITORY / "src" / "peopleinfo" / "console"
    files = {
        f"peopleinfo/console/{file.relative_to(console)}" for file in console.rglob("*.*") if file.suffix != ".pyc"
    }
    assert len(files) > 20
    assert files <= wheel_files


def test_importing_the_console_loads_no_large_library_that_it_may_not_need() -> None:
    program = (
        "import sys, peopleinfo.console.routes; from peopleinfo.http import app; "
        "print({'jinja2', 'pyreqwest'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
