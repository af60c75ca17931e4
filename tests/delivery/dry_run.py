"""Dry runs of workflows for an event: the jobs that GitHub would run, in its order, with recorders in place of the tools.

Steps of this repository are executed; third-party actions are only named. A job waits until the reviewers of its
environment approve it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml  # type: ignore[import-untyped]

from tests.delivery.expressions import Context, holds, interpolate, to_text, value
from tests.delivery.pipeline import ROOT, Failed, Pipeline, workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = "example/people-info"
# Outputs of third-party actions that later steps read.
_OUTPUTS: Final = {"actions/create-github-app-token": {"token": "app-token"}}
_LEVELS: Final = {"none": 0, "read": 1, "write": 2}


class StartupFailure(Exception):
    """GitHub would reject the workflow before its first job."""


@dataclass
class Event:
    """An event in the repository."""

    name: str
    payload: dict[str, Any] = field(default_factory=dict)
    ref: str = "refs/heads/main"
    changed: tuple[str, ...] = ()
    inputs: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()  # environments without an approval


class DryRun:
    """One run of a workflow, job after job; a job of a called workflow is named CALLER/JOB."""

    def __init__(self, project: Pipeline, name: str, event: Event) -> None:
        self.results: dict[str, str] = {}  # success, failure, skipped or waiting
        self.steps: dict[str, list[str]] = {}
        self.held: list[str] = []  # concurrency groups of jobs that wait for a reviewer
        self._project = project
        self._event = event
        self._outputs: dict[str, dict[str, str]] = {}
        definition = workflow(name)
        self.started = _triggers(_on(definition), event)
        if self.started:
            self._workflow(definition, "", event.inputs, None)

    @property
    def order(self) -> list[str]:
        """The jobs that ran, in order."""
        return [name for name in self.results if self.results[name] in ("success", "failure") and name in self.steps]

    def _workflow(
        self, definition: dict[str, Any], prefix: str, inputs: Context, granted: dict[str, str] | None
    ) -> str:
        for name, job in _ordered(definition["jobs"]):
            _check_permissions(f"{prefix}{name}", job["permissions"], granted)
            self._job(prefix, name, job, inputs)
        results = [self.results[f"{prefix}{name}"] for name in definition["jobs"]]
        return next((one for one in ("failure", "waiting", "success") if one in results), "skipped")

    def _job(self, prefix: str, name: str, job: dict[str, Any], inputs: Context) -> None:
        path = f"{prefix}{name}"
        needs = {one: {"result": self.results[prefix + one], "outputs": self._outputs.get(prefix + one, {})} for one in _needs(job)}  # fmt: skip
        context = self._context(inputs, needs, job)
        if "waiting" in [one["result"] for one in needs.values()]:
            self.results[path] = "waiting"
        elif not holds(job.get("if"), context):
            self.results[path] = "skipped"
        elif "uses" in job:
            given = {key: value(one, context) for key, one in job.get("with", {}).items()}
            called = workflow(job["uses"].rpartition("/")[2].removesuffix(".yml"))
            self.results[path] = self._workflow(called, f"{path}/", _inputs(called, given), job["permissions"])
        elif to_text(value(job.get("environment"), context)) in self._event.waiting:
            self.results[path] = "waiting"
            self.held += [interpolate(job["concurrency"]["group"], context)] if "concurrency" in job else []
        else:
            self._combinations(path, job, context)

    def _combinations(self, path: str, job: dict[str, Any], context: Context) -> None:
        outcomes = []
        for combination in _matrix(job, context):
            label = path + (f" ({', '.join(map(str, combination.values()))})" if combination else "")
            outcomes.append(self._steps(label, job, context | {"matrix": combination}))
            self.results.setdefault(label, outcomes[-1])
        self.results[path] = "failure" if "failure" in outcomes else "success"

    def _steps(self, path: str, job: dict[str, Any], context: Context) -> str:
        context |= {"steps": {}}
        done = self.steps[path] = []
        self._outputs[path] = {}
        environment: dict[str, str] = {}
        try:
            done.extend(
                self._step(step, context, environment) for step in job["steps"] if holds(step.get("if"), context)
            )
        except Failed as error:
            done.append(str(error))
            return "failure"
        self._outputs[path] = {key: to_text(value(one, context)) for key, one in job.get("outputs", {}).items()}
        return "success"

    def _step(self, step: dict[str, Any], context: Context, environment: dict[str, str]) -> str:
        if "run" in step:
            given = {key: interpolate(str(one), context) for key, one in step.get("env", {}).items()}
            outputs = self._project.step(step["run"], environment | given)
            context["steps"][step.get("id", "")] = {"outputs": outputs}
            return str(step["run"])
        used = step["uses"].partition("@")[0]
        context["steps"][step.get("id", "")] = {"outputs": _OUTPUTS.get(used, {})}
        if used == "./.github/actions/aws":
            given = {key: interpolate(str(one), context) for key, one in step["with"].items()}
            self._composite(used, context | {"inputs": given}, environment)
            environment["RECORDER_ROLE"] = f"{given['environment']}/{given['role']}"
            return f"{used} {environment['RECORDER_ROLE']}"
        return (
            f"{used} {interpolate(str(step['with']['ref']), context)}" if "ref" in step.get("with", {}) else str(used)
        )

    def _composite(self, used: str, context: Context, environment: dict[str, str]) -> None:
        action = yaml.safe_load((ROOT / used / "action.yml").read_text())
        for step in action["runs"]["steps"]:
            if "run" in step and holds(step.get("if"), context):
                self._step(step, context, environment)

    def _context(self, inputs: Context, needs: dict[str, Any], job: dict[str, Any]) -> Context:
        results = [one["result"] for one in needs.values()]
        event = self._event
        github = {
            "event_name": event.name, "event": event.payload, "ref": event.ref, "repository": REPOSITORY, "run_id": "4711", "sha": "f" * 40,
            "server_url": "https://github.com", "token": "token", "workflow": "workflow",
        }  # fmt: skip
        account = {"AWS_ACCOUNT_ID": "123456789012", "AWS_REGION": "eu-west-1"} if job.get("environment") else {}
        functions = {
            "success": lambda: all(one == "success" for one in results),
            "failure": lambda: "failure" in results,
            "cancelled": lambda: False,
            "always": lambda: True,
        }
        return {
            "github": github, "inputs": inputs, "needs": needs, "vars": event.variables | account, "secrets": {"RELEASE_APP_KEY": "key"},
            "steps": {}, "matrix": {}, "functions": functions,
        }  # fmt: skip


def _on(definition: dict[Any, Any]) -> dict[str, Any]:
    return dict(definition[True])  # YAML reads `on` as true


def _triggers(on: dict[str, Any], event: Event) -> bool:
    """Return whether an event starts a workflow, according to its filters of branches, paths and types."""
    if event.name not in on:
        return False
    filters = on[event.name] or {}
    if isinstance(filters, list):  # the times of a schedule
        return True
    if (
        event.name == "push"
        and "branches" in filters
        and event.ref.removeprefix("refs/heads/") not in filters["branches"]
    ):
        return False
    if event.payload.get("action") and event.payload["action"] not in filters.get(
        "types", ["opened", "synchronize", "reopened"]
    ):
        return False
    patterns = [_path(pattern) for pattern in filters.get("paths", ["**"])]
    return not event.changed or any(pattern.fullmatch(path) for pattern in patterns for path in event.changed)


def _path(pattern: str) -> re.Pattern[str]:
    parts = (".*" if part == "**" else "[^/]*" if part == "*" else re.escape(part) for part in re.split(r"(\*\*|\*)", pattern))  # fmt: skip
    return re.compile("".join(parts))


def _needs(job: dict[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


def _ordered(jobs: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each job after those that it needs."""
    done: set[str] = set()
    while len(done) < len(jobs):
        ready = [name for name in jobs if name not in done and done.issuperset(_needs(jobs[name]))]
        if not ready:
            raise StartupFailure(f"jobs need each other: {sorted(set(jobs) - done)}")
        done.add(ready[0])
        yield ready[0], jobs[ready[0]]


def _check_permissions(path: str, requested: dict[str, str], granted: dict[str, str] | None) -> None:
    """Reject a called job that requests more than its caller grants. Raises StartupFailure."""
    for scope, level in requested.items():
        if granted is not None and _LEVELS[level] > _LEVELS[granted.get(scope, "none")]:
            raise StartupFailure(
                f"{path} requests '{scope}: {level}', but is only allowed '{granted.get(scope, 'none')}'"
            )


def _inputs(called: dict[str, Any], given: Context) -> Context:
    """Return the inputs of a called workflow with their defaults. Raises StartupFailure."""
    known = (_on(called)["workflow_call"] or {}).get("inputs", {})
    if unknown := set(given) - set(known):
        raise StartupFailure(f"unknown inputs: {sorted(unknown)}")
    if missing := {name for name, one in known.items() if one.get("required")} - set(given):
        raise StartupFailure(f"missing inputs: {sorted(missing)}")
    return {name: given.get(name, one.get("default")) for name, one in known.items()}


def _matrix(job: dict[str, Any], context: Context) -> list[dict[str, Any]]:
    """Return the combinations of a matrix; one empty combination without a matrix."""
    combinations: list[dict[str, Any]] = [{}]
    for name, axis in job.get("strategy", {}).get("matrix", {}).items():
        combinations = [one | {name: chosen} for one in combinations for chosen in value(axis, context)]
    return combinations
