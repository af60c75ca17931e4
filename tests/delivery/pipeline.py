"""The steps of the workflows, executed unchanged in a separate project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml  # type: ignore[import-untyped]

from peopleinfo.http.openapi.document import document
from scripts.release import PACKAGES
from tests.delivery.repositories import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
WORKFLOWS: Final = ROOT / ".github" / "workflows"
DIGEST: Final = f"sha256:{'d' * 64}"
REVIEWERS: Final = {"type": "required_reviewers", "reviewers": [{"type": "User"}]}
BEFORE: Final = f"sha256:{'b' * 64}"
REGISTRY: Final = "1.dkr.ecr.eu-west-1.example"
TOOLS: Final = ("aws", "cosign", "docker", "gh", "skopeo", "terraform", "make", "apt-get", "sudo")
_METADATA: Final = ("pyproject.toml", "README.md", "LICENSE")
_EXPRESSION: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


class Failed(Exception):
    """A step of a job exited with a code other than 0."""


def workflow(name: str) -> dict[str, Any]:
    """Read a workflow."""
    return dict(yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text()))


class Pipeline:
    """A project with release 1.0.0, an origin, tools that record their calls, and a running service."""

    def __init__(self, folder: Path, url: str) -> None:
        self.project = Repository(folder / "project")
        self.folder = folder
        self._tools()
        self._project()
        published = {"basic/ecr_repository_url": "api", "app/url": url}
        parameters = {
            f"/people-info-{environment}/{name}": f"{REGISTRY}/{environment}-api" if name.startswith("basic") else value
            for environment in ("qa", "prod")
            for name, value in published.items()
        }
        for environment in ("qa", "prod"):
            parameters[f"/people-info-{environment}/deploy/image_version"] = BEFORE
            parameters[f"/people-info-{environment}/basic/ecs_cluster_name"] = f"people-info-{environment}"
            parameters[f"/people-info-{environment}/bootstrap/state_bucket_name"] = "states"
            parameters[f"/people-info-{environment}/bootstrap/state_key_arn"] = "key"
        parameters["/people-info-qa/app/previews"] = json.dumps({"repository_url": f"{REGISTRY}/qa-preview"})
        self.world: dict[str, Any] = {
            "workspace": "default",
            "bootstrapped": {},  # workspace → the environment of the bucket and key in its state
            "previews": {},
            "publishes": {},
            "secret": "",
            "environments": {
                "prod": {"protection_rules": [REVIEWERS], "deployment_branch_policy": {"protected_branches": True}}
            },
            "states": [],
            "labelled": [],
            "comment": "",  # the number of the comment with the plan
            "parameters": parameters,
            "history": [],
            "findings": [],
            "scan": "COMPLETE",
            "errors": {},  # prefix of a call → AWS error with which it fails once
            "pushed": {"qa-api:1.0.0": BEFORE, "prod-api:1.0.0": BEFORE},
            "built_from": "",
            "task_definition": "arn:aws:ecs:eu-west-1:1:task-definition/before",
            "rollout": "COMPLETED",
            "taken_back": [],  # images with deployments that ECS rolls back by itself
            "digest": DIGEST,
            "running": BEFORE,
            "broken": [],
            "plan": "Plan: 1 to add, 0 to change, 0 to destroy.",
            "failing": [],
            "newest": (ROOT / "requirements" / "run.lock").read_text(),
            "versions": {BEFORE: "1.0.0"},
        }
        self.change()

    def change(self, **facts: Any) -> None:
        """Change facts of the simulated world."""
        self.world |= facts
        (self.folder / "world.json").write_text(json.dumps(self.world))

    def then(self, **facts: Any) -> None:
        """Change facts of the simulated world in its current state."""
        self.world = json.loads((self.folder / "world.json").read_text())
        self.change(**facts)

    def now(self, fact: str) -> Any:
        """Return the current value of a fact."""
        return json.loads((self.folder / "world.json").read_text()).get(fact)

    @property
    def calls(self) -> list[str]:
        """The calls of the tools, in order."""
        lines = (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []
        return [" ".join(json.loads(line)) for line in lines]

    @property
    def calls_by_role(self) -> list[list[str]]:
        """The calls in order, each preceded by its role: ENVIRONMENT/ROLE."""
        lines = (self.folder / "roles").read_text().splitlines() if (self.folder / "roles").exists() else []
        return [json.loads(line) for line in lines]

    def job(self, name: str, job: str, values: dict[str, str] | None = None, **environment: str) -> dict[str, str]:
        """Run the script steps of a job unchanged, and return its outputs. Raises Failed."""
        outputs = self.folder / "output"
        outputs.write_text("")
        for step in workflow(name)["jobs"][job]["steps"]:
            if step.get("uses") == "./.github/actions/aws":
                given = {key: _interpolate(str(v), values or {}) for key, v in step["with"].items()}
                environment["RECORDER_ROLE"] = f"{given['environment']}/{given['role']}"
            if "run" in step:
                given = {key: _interpolate(str(v), values or {}) for key, v in step.get("env", {}).items()}
                self.run(step["run"], environment | given)
        return dict(line.split("=", 1) for line in outputs.read_text().splitlines())

    def step(self, script: str, environment: dict[str, str]) -> dict[str, str]:
        """Run the script of a step, and return its outputs. Raises Failed."""
        outputs = self.folder / "output"
        outputs.write_text("")
        self.run(script, environment)
        return dict(line.split("=", 1) for line in outputs.read_text().splitlines())

    def run(self, script: str, environment: dict[str, str] | None = None) -> str:
        """Run a script as GitHub does. Raises Failed."""
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.project.root,
            env=self._environment | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise Failed(f"{ran.returncode}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def _tools(self) -> None:
        for tool in TOOLS:
            program = self.folder / "bin" / tool
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!{sys.executable} -IS\n{Path(__file__).with_name('recorder.py').read_text()}")
            program.chmod(0o755)
        inherited = {
            n: v for n, v in os.environ.items() if not n.startswith(("GIT_", "PEOPLEINFO_", "TERRAFORM", "CI"))
        }
        self._environment = inherited | {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "RECORDER": str(self.folder),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "AWS_REGION": "eu-west-1",
            "GITHUB_REPOSITORY": "example/people-info",
            "SMOKE_SECONDS": "0",
            "SCAN_SECONDS": "0",
            "SCAN_PAUSE": "0",
            "DEPLOY_PAUSE": "0",
            "DEPLOY_SECONDS": "0",
            "GIT_AUTHOR_NAME": "Test",
            "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "Test",
            "GIT_COMMITTER_EMAIL": "test@example.org",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }

    def _project(self) -> None:
        root = self.project.root
        for name in ("scripts", ".ci"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        metadata = [f"{folder}{name}" for folder in ("", "clients/python/") for name in _METADATA]
        for name in ("CHANGELOG.md", ".gitignore", "requirements/run.lock", *PACKAGES, *metadata):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
        for stack in ("basic_iac", "app_iac", "deploy_iac", "preview_iac"):
            (root / "iac" / stack).mkdir(parents=True)
            (root / "iac" / stack / "terraform.tf").touch()
        (root / "docs").mkdir()
        python = root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self.project.commit("feat: start")
        origin = self.folder / "origin.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
        self.project.git("remote", "add", "origin", str(origin))
        (root / "docs" / "openapi.json").write_text(json.dumps(document()))
        self.project.commit("chore(release): 1.0.0")
        self.project.tag("v1.0.0")
        self.project.git("push", "--quiet", "--tags", "origin", "main")


@contextmanager
def pipeline(folder: Path) -> Iterator[Pipeline]:
    """Open a pipeline with a service that reports the applied version, unless that version is broken."""
    world = folder / "world.json"

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state = json.loads(world.read_text())
            works = state["running"] not in state["broken"]
            status = 401 if self.path.startswith("/v1/") else 200 if works else 503
            body = json.dumps({"version": state["versions"].get(state["running"], "?")}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            key = json.loads(world.read_text())["secret"]
            self.send_response(201 if key and self.headers["Authorization"] == f"Bearer {key}" else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Pipeline(folder, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def values(**more: str) -> dict[str, str]:
    """Return the values that GitHub fills into the steps."""
    return {
        "steps.app.outputs.token || github.token": "token",
        "github.token": "token",
        "vars.AWS_ACCOUNT_ID": "123456789012",
        "vars.AWS_REGION": "eu-west-1",
        "vars.PYTHON_IMAGE": "",
        "vars.ALLOWED_FINDINGS": "",
        "github.server_url": "https://github.com",
        "github.repository": "example/people-info",
        **more,
    }


def _interpolate(text: str, values: dict[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: values[found.group(1)], text)
