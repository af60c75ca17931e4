"""The next version follows from the commits, on real histories."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.commits import Commit, commits
from scripts.next_version import next_release, pre_release

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.delivery.repositories import Repository

SEMVER_PRE = re.compile(r"(\d+\.\d+\.\d+)-dev\.\d{14}")


def released(repository: Repository) -> None:
    repository.commit("feat: start")
    repository.tag("v1.4.2")


def no_commit(_: Repository) -> None:
    pass


def fix(repository: Repository) -> None:
    repository.commit("fix: repair it")


def feature(repository: Repository) -> None:
    repository.commit("feat(http): more", "docs: explain")


def breaking_mark(repository: Repository) -> None:
    repository.commit("refactor(http)!: another way")


def breaking_footer(repository: Repository) -> None:
    repository.commit("fix: repair it\n\nThe long story.\n\nBREAKING CHANGE: /data returns another format")


def mixed(repository: Repository) -> None:
    repository.commit("fix: one", "feat: two", "chore: three", "perf: four")


def chores(repository: Repository) -> None:
    repository.commit("chore: one", "docs: two", "test: three", "ci: four", "refactor: five")


def reverted_before_release(repository: Repository) -> None:
    repository.commit("fix: stays", "feat: regretted")
    repository.revert("HEAD")


def revert_reverted(repository: Repository) -> None:
    repository.commit("feat: regretted too early")
    repository.revert("HEAD")
    repository.revert("HEAD")


def revert_of_a_released_commit(repository: Repository) -> None:
    repository.revert("v1.4.2")


def merged(repository: Repository) -> None:
    repository.branch("topic")
    repository.commit("feat: on the branch")
    repository.switch("main")
    repository.commit("fix: on main")
    repository.merge("topic")


def nonsense(repository: Repository) -> None:
    repository.commit("quick fix for the thing", "wip: stuff")


def pre_release_tags(repository: Repository) -> None:
    repository.commit("feat: in a preview")
    repository.tag("v1.5.0-dev.20260101000000")
    repository.tag("nightly")


def higher_release_elsewhere(repository: Repository) -> None:
    repository.branch("other")
    repository.commit("feat!: elsewhere")
    repository.tag("v9.0.0")
    repository.switch("main")
    repository.commit("fix: here")


@pytest.mark.parametrize(
    ("add_commits", "expected"),
    [
        (no_commit, None),
        (fix, "1.4.3"),
        (feature, "1.5.0"),
        (breaking_mark, "2.0.0"),
        (breaking_footer, "2.0.0"),
        (mixed, "1.5.0"),
        (chores, None),
        (reverted_before_release, "1.4.3"),
        (revert_reverted, "1.5.0"),
        (revert_of_a_released_commit, "1.4.3"),
        (merged, "1.5.0"),
        (nonsense, "1.4.3"),
        (pre_release_tags, "1.5.0"),
        (higher_release_elsewhere, "1.4.3"),
    ],
)
def test_next_release_follows_from_the_commits(
    repository: Repository, add_commits: Callable[[Repository], None], expected: str | None
) -> None:
    released(repository)
    add_commits(repository)
    version = next_release(repository.root)
    assert (version and str(version)) == expected


@pytest.mark.parametrize("message", ["feat: start", "fix: start", "feat!: start"])
def test_first_release_is_0_1_0(repository: Repository, message: str) -> None:
    repository.commit(message)
    assert str(next_release(repository.root)) == "0.1.0"


def test_first_breaking_change_releases_1_0_0(repository: Repository) -> None:
    repository.commit("feat: start")
    repository.tag("v0.1.0")
    repository.commit("feat!: other")
    assert str(next_release(repository.root)) == "1.0.0"


def test_pre_release_is_between_two_releases_and_differs_by_commit(repository: Repository) -> None:
    released(repository)
    repository.branch("topic")
    versions = []
    for message, next_version in (("docs: explain", "1.4.3"), ("feat: more", "1.5.0")):
        repository.commit(message)
        version = pre_release(repository.root)
        assert (found := SEMVER_PRE.fullmatch(version)), version
        assert found.group(1) == next_version
        versions.append(version)
    assert len(set(versions)) == 2


def test_unknown_message_format_is_reported(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    released(repository)
    nonsense(repository)
    next_release(repository.root)
    stderr = capsys.readouterr().err
    assert "'quick fix for the thing': start with a type and a colon" in stderr
    assert "'wip: stuff'" in stderr


def test_shallow_clone_is_an_error(repository: Repository, tmp_path: Path) -> None:
    released(repository)
    fix(repository)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository.root}", str(shallow)], check=True)
    with pytest.raises(SystemExit, match="git fetch --unshallow --tags"):
        next_release(shallow)


def test_messages_written_by_git_need_no_type(repository: Repository) -> None:
    released(repository)
    merged(repository)
    reverted_before_release(repository)
    assert [commit.problem for commit in commits("v1.4.2", repository.root) if commit.problem] == []


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        ("fix: " + "x" * 67, None),
        ("fix: " + "x" * 68, "shorten the first line to 72 characters (got 73)"),
        ("fix: repair the cache; rename the store", "a second subject belongs in a second commit"),
        ("fix: repair the cache, test: rename the store", "a second subject belongs in a second commit"),
    ],
)
def test_first_line_is_short_and_has_one_subject(title: str, problem: str | None) -> None:
    commit = Commit("0123456789abcdef", f"{title}\n\nThe reason; with: details.", "fix", breaking=False, parents=1)
    assert commit.problem is None
    if problem is None:
        assert commit.style_problem is None
    else:
        assert problem in str(commit.style_problem)
