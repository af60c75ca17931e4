"""Replacement of docker, aws, terraform, cosign, skopeo, gh and make on the PATH: records each call, and simulates its effect.

The folder $RECORDER contains its state: `world.json`, and one line of `calls` for each call.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["RECORDER"])
WORLD = FOLDER / "world.json"
CHANGES = {"put-image", "delete-object", "put-secret-value", "put-parameter", "--metadata-file"}


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
    error = world["errors"].get(" ".join([tool, *arguments][:3]))
    if error:  # each listed error occurs once
        WORLD.write_text(json.dumps(world | {"errors": {}}))
        sys.stderr.write(f"An error occurred ({error}) when calling the operation\n")
        return 254
    handler = {"aws": aws, "docker": docker, "gh": gh, "skopeo": skopeo, "terraform": terraform, "make": make}.get(
        tool, no_effect
    )
    code = handler(world, arguments)
    # Other tools change no state, and two of them may run at the same time.
    if tool in ("terraform", "skopeo") or CHANGES & set(arguments):
        WORLD.with_suffix(".new").write_text(json.dumps(world))
        WORLD.with_suffix(".new").replace(WORLD)
    return code


def no_effect(_: dict[str, Any], __: list[str]) -> int:
    return 0


def aws(world: dict[str, Any], arguments: list[str]) -> int:
    services = {"ssm": ssm, "s3api": s3api, "secretsmanager": secretsmanager, "ecr": ecr, "ecs": ecs}
    return services.get(arguments[0], no_effect)(world, arguments[1:])


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(f"--{name}") + 1]


def ssm(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[0] == "get-parameter-history":
        print_line(json.dumps({"Parameters": [{"Value": value} for value in world["history"]]}))
    elif arguments[0] == "put-parameter":
        world["parameters"][option(arguments, "name")] = option(arguments, "value")
    elif option(arguments, "name") not in world["parameters"]:
        return 254
    else:
        print_line(world["parameters"][option(arguments, "name")])
    return 0


def s3api(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[0] == "list-objects-v2":
        print_line("\t".join(world["states"]) or "None")
    elif arguments[0] == "delete-object":
        world["states"].remove(option(arguments, "key"))
    return 0


def secretsmanager(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[0] == "put-secret-value":
        world["secret"] = option(arguments, "secret-string")
    elif arguments[0] == "get-secret-value":
        print_line(world["secret"])
    return 0


def ecr(world: dict[str, Any], arguments: list[str]) -> int:
    match arguments[0]:
        case "get-login-password":
            print_line("password")
        case "describe-images":
            return images(world, option(arguments, "repository-name"), option(arguments, "image-ids"))
        case "batch-get-image":
            print_line(
                json.dumps(
                    {
                        "images": [
                            {"imageManifest": "{}", "imageManifestMediaType": "application/vnd.oci.image.index.v1+json"}
                        ]
                    }
                )
            )
        case "put-image":
            name = f"{option(arguments, 'repository-name')}:{option(arguments, 'image-tag')}"
            world["pushed"][name] = option(arguments, "image-digest")
        case "describe-image-scan-findings":
            status = {"status": world["scan"]}
            print_line(json.dumps({"imageScanStatus": status, "imageScanFindings": {"findings": world["findings"]}}))
    return 0


def ecs(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[0] == "describe-services":
        print_line(json.dumps({"services": [service(world)]}))
    return 0


def images(world: dict[str, Any], repository: str, wanted: str) -> int:
    """Report an image of a repository by its tag or digest."""
    kind, _, name = wanted.partition("=")
    for tag, digest in world["pushed"].items():
        found, _, version = tag.partition(":")
        if found == repository and name == (version if kind == "imageTag" else digest):
            print_line(json.dumps({"imageDetails": [{"imageDigest": digest, "imageTags": ["sha256-1.sig", version]}]}))
            return 0
    sys.stderr.write("An error occurred (ImageNotFoundException) when calling the DescribeImages operation\n")
    return 254


def service(world: dict[str, Any]) -> dict[str, Any]:
    """Describe the ECS service; ECS restores its old task definition if the new one does not start."""
    task_definition = world["task_definition"]
    primary = {"status": "PRIMARY", "taskDefinition": task_definition, "rolloutState": world["rollout"]}
    return {
        "taskDefinition": task_definition,
        "deployments": [primary],
        "events": [{"message": "tasks failed to start"}],
    }


def docker(world: dict[str, Any], arguments: list[str]) -> int:
    if "--metadata-file" in arguments:
        metadata_file = Path(arguments[arguments.index("--metadata-file") + 1])
        metadata_file.write_text(json.dumps({"containerimage.digest": world["digest"]}))
        world["pushed"][arguments[arguments.index("--tag") + 1].rpartition("/")[2]] = world["digest"]
    elif "{{json .Image}}" in arguments:
        labels = {"org.opencontainers.image.revision": world["built_from"]}
        print_line(json.dumps({system: {"config": {"Labels": labels}} for system in ("linux/amd64", "linux/arm64")}))
    elif arguments[:3] == ["buildx", "imagetools", "inspect"]:
        platforms = [("linux", "sha256:amd64"), ("linux", "sha256:arm64"), ("unknown", "sha256:provenance")]
        print_line(
            json.dumps({"manifests": [{"platform": {"os": system}, "digest": name} for system, name in platforms]})
        )
    return 0


def skopeo(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[0] == "copy" and arguments[-1].startswith("docker://"):
        world["pushed"][arguments[-1].rpartition("/")[2]] = world["digest"]
    return 0


def gh(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments[:2] == ["pr", "list"]:
        print_line("\n".join(world["labelled"]))
    elif arguments[0] == "api" and "/environments/" in arguments[1]:
        print_line(json.dumps(world["environments"][arguments[1].rpartition("/")[2]]))
    elif arguments[:2] == ["api", "--paginate"]:
        print_line(world["comment"])
    return 0


def terraform(world: dict[str, Any], arguments: list[str]) -> int:
    folder = Path(arguments[0].removeprefix("-chdir="))
    plan = folder / "plan.tfplan"
    if folder.name == "bootstrap":
        return bootstrap(world, arguments)
    if arguments[1] == "apply":
        world["parameters"] |= world["publishes"].get(folder.name, {})
    match arguments[1]:
        case "plan" | "show":
            return make_plan(world, arguments, plan)
        case "apply" if "plan.tfplan" in arguments:
            world["applied"] = plan.read_text()
        case "apply" if "iac/preview_iac" in arguments[0]:
            apply_preview(world, arguments)
        case "providers":
            (folder / ".terraform.lock.hcl").write_text("# by hashes\n")
        case "destroy" if "iac/preview_iac" in arguments[0]:
            del world["previews"][value(arguments, "number")]
        case "apply" if "iac/deploy_iac" in arguments[0]:
            apply_version(world, arguments)
    return 0


def make_plan(world: dict[str, Any], arguments: list[str], plan: Path) -> int:
    if arguments[1] == "show":
        print_line(world["plan"])
    elif "-detailed-exitcode" not in arguments:
        plan.write_text("the plan that was shown")
    elif world["plan"].startswith("Plan:"):
        return 2
    return 0


def bootstrap(world: dict[str, Any], arguments: list[str]) -> int:
    """Record the environment of a workspace's state; another one in the same state would replace its bucket and key."""
    if arguments[1] == "workspace":
        world["workspace"] = arguments[-1]
    elif arguments[1] in ("apply", "destroy"):
        environment = value(arguments, "environment")
        if world["bootstrapped"].setdefault(world["workspace"], environment) != environment:
            sys.stderr.write("Plan: 9 to add, 0 to change, 9 to destroy.\n")
            return 1
        world["parameters"] |= world["publishes"].get("bootstrap", {})
    elif arguments[1] == "providers":
        Path("iac/bootstrap/.terraform.lock.hcl").write_text("# by hashes\n")
    return 0


def apply_preview(world: dict[str, Any], arguments: list[str]) -> None:
    number, image = (value(arguments, name) for name in ("number", "image"))
    world["previews"][number] = world["running"] = image
    world["states"] = [*world["states"], f"preview/pr-{number}.tfstate"]
    url = world["parameters"]["/people-info-qa/app/url"]
    world["parameters"][f"/people-info-qa/preview/pr-{number}/url"] = url


def apply_version(world: dict[str, Any], arguments: list[str]) -> None:
    """Register a task definition for an image, and let the service run it unless ECS rolls it back."""
    environment = next(a for a in arguments if a.startswith("-var-file=")).split("/")[1]
    image = value(arguments, "image_version")
    applied = f"arn:aws:ecs:eu-west-1:1:task-definition/people-info-{environment}-api:{image}"
    world["parameters"] |= {
        f"/people-info-{environment}/deploy/service_name": f"people-info-{environment}-api",
        f"/people-info-{environment}/deploy/task_definition": applied,
    }
    if image not in world["taken_back"]:
        world["running"], world["task_definition"] = image, applied


def value(arguments: list[str], name: str) -> str:
    return next(a for a in arguments if a.startswith(f"{name}=")).partition("=")[2]


def make(world: dict[str, Any], arguments: list[str]) -> int:
    if arguments == ["lock"]:
        Path("requirements/run.lock").write_text(world["newest"])
    return 0


def print_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
