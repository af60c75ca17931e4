"""How soon is the console's first page usable with a million people stored? `python -m bench.console [PEOPLE]`"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROUNDS = 10
SURNAMES = 150_000
# From the request until the first rows are drawn and the search box has the focus. The page checks itself in every frame: polling from
# outside is too late on a busy machine.
LOOKS = """(function look() {
  const drawn = document.querySelector("#results .row") && document.activeElement.id === "q";
  if (drawn) window.usable = performance.now();
  else requestAnimationFrame(look);
})()"""


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="console-") as folder:
        store = f"sqlite:///{folder}/people.db"
        rows = Path(folder) / "people.ndjson"
        with rows.open("w") as file:
            for n in range(people):
                surname = f"Surname{n * 7919 % SURNAMES}"
                file.write(
                    f'{{"person_name":"N{n}","person_surname":"{surname}","person_birthdate":"19{n % 90 + 10}-05-12"}}\n'
                )
        command = [sys.executable, "-m", "peopleinfo"]
        subprocess.run([*command, "import", rows, "--store-url", store], check=True, capture_output=True)
        server = subprocess.Popen(
            [*command, "serve", "--port", "0", "--store-url", store],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.stderr is not None
        try:
            report(server.stderr.readline().partition(" on ")[2].split()[0], people)
        finally:
            server.terminate()
            server.wait()


def report(url: str, people: int) -> None:
    first, again = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(ROUNDS):
            context = browser.new_context(
                bypass_csp=True
            )  # a new context has an empty cache; the expression below runs in the page
            context.add_init_script(LOOKS)
            page = context.new_page()
            for times in (first, again):
                page.goto(f"{url}/console")
                times.append(page.wait_for_function("window.usable").json_value())
            context.close()
        browser.close()
    for what, times in (("with an empty cache", first), ("again", again)):
        print(
            f"{people} people, {what}: usable after {statistics.median(times):.0f} ms (median of {ROUNDS}; {min(times):.0f} to {max(times):.0f})"
        )


if __name__ == "__main__":
    main()
