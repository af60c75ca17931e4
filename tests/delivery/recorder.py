"""Stands for docker, aws, terraform, cosign, skopeo, gh and make on the PATH: notes each call, and does what the next step needs of it.

What it knows and what has become of it is in the folder $RECORDER: `world.json` and a line of `calls` for each call.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["RECORDER"])
WORLD = FOLDER / "world.json"


def main() -> int:
    tool, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (FOLDER / "calls").open("a") as calls:
        calls.write(f"{json.dumps([tool, *arguments])}\n")
    with (FOLDER / "roles").open("a") as roles:
        roles.write(f"{json.dumps([os.environ.get('RECORDER_ROLE', ''), tool, *arguments])}\n")
    world = json.loads(WORLD.read_text())
    if " ".join([tool, *arguments]).startswith(tuple(world["failing"])):
        return 1
    if "--password-stdin" in arguments:
        sys.stdin.read()
    answer = {"aws": aws, "docker": docker, "gh": gh, "terraform": terraform, "make": make}.get(tool, nothing)
    code = answer(world, arguments)
    # The others change nothing, and two of them may run at the same time.
    if tool == "terraform" or {"delete-object", "put-secret-value"} & set(arguments):
        WORLD.with_suffix(".new").write_text(json.dumps(world))
        WORLD.with_suffix(".new").replace(WORLD)
    return code


def nothing(_: dict[str, Any], __: list[str]) -> int:
    return 0


def aws(world: dict[str, Any], arguments: list[str]) -> int:
    match arguments[:2]:
        case ["ssm", "get-parameter"]:
            name = arguments[arguments.index("--name") + 1]
            if name not in world["parameters"]:
                return 254
            say(world["parameters"][name])
        case ["ssm", "get-parameter-history"]:
            say(json.dumps({"Parameters": [{"Value": value} for value in world["history"]]}))
        case ["s3api", "list-objects-v2"]:
            say("\t".join(world["states"]) or "None")
        case ["s3api", "delete-object"]:
            world["states"].remove(arguments[arguments.index("--key") + 1])
        case ["secretsmanager", "put-secret-value"]:
            world["secret"] = arguments[arguments.index("--secret-string") + 1]
        case ["secretsmanager", "get-secret-value"]:
            say(world["secret"])
        case ["ecr", "get-login-password"]:
            say("password")
        case ["ecr", "describe-image-scan-findings"]:
            say(json.dumps({"imageScanFindings": {"findings": world["findings"]}}))
    return 0


def docker(world: dict[str, Any], arguments: list[str]) -> int:
    if "--metadata-file" in arguments:
        told = Path(arguments[arguments.index("--metadata-file") + 1])
        told.write_text(json.dumps({"containerimage.digest": world["digest"]}))
    elif arguments[:3] == ["buildx", "imagetools", "inspect"]:
        platforms = [("linux", "sha256:amd64"), ("linux", "sha256:arm64"), ("unknown", "sha256:provenance")]
        say(json.dumps({"manifests": [{"platform": {"os": system}, "digest": name} for system, name in platforms]}))
    return 0


def gh(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[:2] == ["pr", "list"]:
        say("\n".join(world["labelled"]))
    return 0


def terraform(world: dict[str, Any], arguments: list[str]) -> int:
    folder = Path(arguments[0].removeprefix("-chdir="))
    plan = folder / "plan.tfplan"
    if arguments[1] == "apply":
        world["parameters"] |= world["publishes"].get(folder.name, {})
    match arguments[1]:
        case "plan" if "-detailed-exitcode" in arguments:
            return 2 if world["plan"].startswith("Plan:") else 0
        case "plan":
            plan.write_text("the plan that was shown")
        case "show":
            say(world["plan"])
        case "apply" if "plan.tfplan" in arguments:
            world["applied"] = plan.read_text()
        case "apply" if "iac/preview_iac" in arguments[0]:
            number, image = (value(arguments, name) for name in ("number", "image"))
            world["previews"][number] = world["running"] = image
            world["states"] = [*world["states"], f"preview/pr-{number}.tfstate"]
            world["parameters"][f"/people-info-qa/preview/pr-{number}/url"] = world["parameters"][
                "/people-info-qa/app/url"
            ]
        case "providers":
            (folder / ".terraform.lock.hcl").write_text("# by hashes\n")
        case "destroy" if "iac/preview_iac" in arguments[0]:
            del world["previews"][value(arguments, "number")]
        case "apply" if "iac/deploy_iac" in arguments[0]:
            environment = next(a for a in arguments if a.startswith("-var-file=")).split("/")[1]
            image = next(a for a in arguments if a.startswith("image_version=")).partition("=")[2]
            world["running"] = image
            world["parameters"][f"/people-info-{environment}/deploy/image_version"] = image
    return 0


def value(arguments: list[str], name: str) -> str:
    return next(a for a in arguments if a.startswith(f"{name}=")).partition("=")[2]


def make(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments == ["lock"]:
        Path("requirements/run.lock").write_text(world["newest"])
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
