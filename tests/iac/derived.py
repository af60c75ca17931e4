"""The requests to AWS that each workflow's role makes, derived from the workflows, the scripts and the resources of the stacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from tests.iac import iam
from tests.iac.iam import Request
from tests.iac.provider_calls import BACKEND, CLOUDFORMATION, DATA, PROVIDER, STEPS, Calls
from tests.iac.terraform import IAC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RESOURCE: Final = re.compile(r'^resource "(\w+)"', re.MULTILINE)
_MODULE: Final = re.compile(r'source += "\.\./modules/(\w+)"')
_TEMPLATE: Final = re.compile(r'Type += "(AWS::\w+::\w+)"')
_UPSTREAM: Final = re.compile(r'data "aws_ssm_parameter" "(\w+)" \{\s*for_each = toset\(\[(.*?)\]\)', re.DOTALL)
_OURS_IN_EC2: Final = {
    "elastic-ip", "internet-gateway", "natgateway", "route-table", "security-group", "security-group-rule", "subnet", "vpc",
    "vpc-endpoint", "vpc-flow-log",
}  # fmt: skip
_NEW: Final = ("Create", "Request", "Register", "Allocate")

# Resource types that an administrator creates and changes; workflows only read them.
ADMINISTRATORS: Final = {
    "aws_iam_openid_connect_provider", "aws_iam_policy", "aws_iam_role_policy_attachment",
}  # fmt: skip

# Roles that are passed on, and the service that they are passed to.
_PASSED: Final = {"task": "ecs-tasks", "execution": "ecs-tasks", "blue-green": "ecs", "flow-logs": "vpc-flow-logs"}

# Actions that have another name than the AWS CLI's command.
_RENAMED: Final = {
    "s3:ListObjectsV2": ["s3:ListBucket"],
    "ecr:GetLoginPassword": ["ecr:GetAuthorizationToken"],
    "ecr:WaitImageScanComplete": ["ecr:DescribeImageScanFindings"],
    "ecs:WaitServicesStable": ["ecs:DescribeServices"],
}
_PULL: Final = ("BatchGetImage", "GetDownloadUrlForLayer")
_PUSH: Final = (
    "BatchCheckLayerAvailability",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
    "PutImage",
    "BatchGetImage",
)

# The names of the resources of a preview.
_OF_A_PREVIEW: Final = {
    "dynamodb:table": "{n}-preview-pr-7",
    "ecr:repository": "{n}-preview",
    "ecs:service": "{n}/{n}-preview-pr-7",
    "ecs:service-deployment": "{n}/{n}-preview-pr-7/deployment",
    "ecs:task-definition": "{n}-preview-pr-7:7",
    "elasticloadbalancing:targetgroup": "{n}-pr-7/group",
}


def resource_types(stack: str) -> set[str]:
    """Return the Terraform resource types of a stack with its modules."""
    text = "".join(file.read_text() for file in (IAC / stack).glob("*.tf"))
    modules = (file.read_text() for name in _MODULE.findall(text) for file in (IAC / "modules" / name).glob("*.tf"))
    return set(_RESOURCE.findall(text + "".join(modules)))


def of_terraform(stack: str, steps: Iterable[str], *, administrator: bool = False) -> Iterator[Request]:
    """Yield the requests of the provider for a stack in `qa`."""
    for kind in sorted(resource_types(stack)):
        for step in steps:
            if step == "read" or administrator or kind not in ADMINISTRATORS:
                yield from _requests(PROVIDER[kind], step, stack, kind)
    for template in _TEMPLATE.findall("".join(file.read_text() for file in (IAC / stack).glob("*.tf"))):
        for step in steps:
            if step != "read" or len(list(steps)) > 1:  # a plan reads the stack alone
                yield from _requests(CLOUDFORMATION[template], step, stack, template)
    upstream = IAC / stack / "ssm_inputs.tf"
    for publisher, names in _UPSTREAM.findall(upstream.read_text() if upstream.exists() else ""):
        for name in re.findall(r'"(\w+)"', names):
            yield from _requests(DATA["aws_ssm_parameter"], "read", stack, "data", f"{{n}}/{publisher}/{name}")


def of_backend(stack: str, *, write: bool, key: str = "") -> Iterator[Request]:
    """Yield the requests of the S3 backend for the state of a stack."""
    bucket = f"arn:aws:s3:::people-info-qa-state-{iam.ACCOUNT}"
    state = f"{bucket}/{key or f'{stack}.tfstate'}"
    places = {"bucket": bucket, "state": state, "lock": f"{state}.tflock"}
    for call in BACKEND["read"] + (BACKEND["write"] if write else []):
        action, _, place = call.partition("@")
        resource = (
            f"arn:aws:kms:{iam.REGION}:{iam.ACCOUNT}:key/{iam.STATE_KEY}"
            if action.startswith("kms:")
            else places[place]
        )
        yield Request(action, resource, _tagged("bootstrap"), f"state of {stack}")


def of_tools(call: list[str]) -> Iterator[Request]:
    """Yield the requests of one call of a command that a workflow made, as the recorder noted it."""
    tool, *words = call
    text = " ".join(words)
    if tool == "terraform":
        yield from _of_terraform_command(words)
    elif tool == "aws":
        yield from _of_cli(words)
    elif (tool, words[:2]) == ("docker", ["buildx", "build"]) and "push=true" in text:
        yield from _of_registry(_PUSH, text)
    elif tool == "docker" and "inspect" in words:
        yield from _of_registry(_PULL, text)
    elif tool == "skopeo" and "docker://" in text:
        pushes = words[0] == "copy" and words[-1].startswith("docker://")
        yield from _of_registry(_PUSH if pushes else _PULL, text)
    elif tool == "cosign" and words[0] in ("sign", "verify"):
        yield from _of_registry({*_PULL, *(_PUSH if words[0] == "sign" else ())}, text)


def _of_registry(actions: Iterable[str], text: str) -> Iterator[Request]:
    name = "{n}-preview" if "-preview" in text else "{n}-api"
    resource = iam.arn("ecr", "repository", "qa", name=name)
    yield from (Request(f"ecr:{action}", resource, (), text) for action in actions)


def _of_terraform_command(words: list[str]) -> Iterator[Request]:
    stack, verb = words[0].rpartition("/")[2], words[1]
    key = next((word.partition("key=")[2] for word in words if word.startswith("-backend-config=key=")), "")
    if stack == "preview_iac":
        key = key or "preview/pr-7.tfstate"
    if verb in ("init", "plan", "apply", "destroy"):
        yield from of_backend(stack, write=verb in ("apply", "destroy"), key=key)
    if verb in ("plan", "apply", "destroy"):
        yield from of_terraform(stack, ["read"] if verb == "plan" else list(STEPS))


def _of_cli(words: list[str]) -> Iterator[Request]:
    service, command = ("s3", words[1]) if words[0] == "s3api" else (words[0], words[1])
    if command == "wait":
        command = f"wait-{words[2]}"
    name = "".join(part.title() for part in command.split("-"))
    for action in _RENAMED.get(f"{service}:{name}", [f"{service}:{name}"]):
        yield Request(
            action,
            _resource_of_cli(service, action, words),
            _tagged("app" if service != "ecs" else "deploy"),
            " ".join(words),
        )


def _resource_of_cli(service: str, action: str, words: list[str]) -> str:
    given = {word: words[place + 1] for place, word in enumerate(words[:-1]) if word.startswith("--")}
    if not iam.types_of(action):
        return "*"
    match service:
        case "ssm":
            return iam.arn("ssm", "parameter", "qa", name=given["--name"].removeprefix("/"))
        case "s3":
            bucket = f"arn:aws:s3:::people-info-qa-state-{iam.ACCOUNT}"
            return f"{bucket}/{given['--key']}" if "--key" in given else bucket
        case "ecr":
            return iam.arn("ecr", "repository", "qa", name="{n}-api")
        case "ecs":
            return iam.arn("ecs", "service", "qa")
    raise AssertionError(f"say which resource this is: {words}")


def _requests(calls: Calls, step: str, stack: str, kind: str, parameter: str = "") -> Iterator[Request]:
    for action, hint in calls.actions(step):
        assert iam.exists(action), f"{kind}: IAM knows no {action}"
        if stack == "preview_iac" and (action.startswith("kms:") or hint == "blue-green"):
            continue  # its table has a key of AWS's own, and its service rolls
        yield from _per_type(calls, step, stack, action, hint, f"{stack}: {step} {kind}", parameter)


def _per_type(
    calls: Calls, step: str, stack: str, action: str, hint: str, why: str, parameter: str
) -> Iterator[Request]:
    service = action.partition(":")[0]
    for kind in _kinds(action, hint):
        new = step == "create" and f"{service}:{kind}" == calls.own
        context = dict(_conditions(calls, step, stack, action, kind, new=new))
        if action == "iam:PassRole":
            context["iam:PassedToService"] = f"{_PASSED[hint]}.amazonaws.com"
        yield Request(action, _arn(stack, service, kind, hint, parameter), tuple(sorted(context.items())), why)


def _kinds(action: str, hint: str) -> list[str]:
    """Return the resource types that IAM decides a request by; "" when it knows none."""
    service = action.partition(":")[0]
    if hint == "tracking":
        return ["tracking"]
    every = iam.types_of(action)
    kinds = {kind for kind in iam.types_of(action, required=True) if not re.search(r"/(net|gwy)", kind)}
    if hint in every:
        kinds |= {hint}
    if service == "ec2" and action not in ("ec2:CreateTags", "ec2:DeleteTags"):
        kinds |= set(every) & _OURS_IN_EC2
    assert kinds or not every, f"say to which of {every} {action} refers"
    return sorted(kinds) or [""]


def _arn(stack: str, service: str, kind: str, hint: str, parameter: str) -> str:
    if not kind:
        return "*"
    name = None
    if service == "iam" and kind == "role":
        name = _role(stack, hint)
    elif service == "ssm":
        name = parameter or ("{n}/preview/pr-7/url" if stack == "preview_iac" else f"{{n}}/{iam.STACKS[stack]}/url")
    elif hint == "cache_password":
        name = "{n}/cache_password-AbCdEf"
    elif stack == "preview_iac":
        name = _OF_A_PREVIEW.get(f"{service}:{kind}")
    return iam.arn(service, kind, "qa", name=name)


def _role(stack: str, hint: str) -> str | None:
    if hint in _PASSED:
        return f"{{n}}-preview-{hint}" if stack == "preview_iac" else f"{{n}}-{hint}"
    if hint and hint != "role":
        return f"aws-service-role/{hint}.amazonaws.com/AWSServiceRole"
    return None


def _tagged(stack: str, key: str = "aws:ResourceTag") -> tuple[tuple[str, str], ...]:
    return tuple((f"{key}/{name}", value) for name, value in iam.tags("qa", stack).items())


def _conditions(calls: Calls, step: str, stack: str, action: str, kind: str, *, new: bool) -> Iterator[tuple[str, str]]:
    short = iam.STACKS[stack]
    verb = action.partition(":")[2]
    tags_it = iam.supports(action, kind, "aws:RequestTag")
    starts = new and tags_it and (verb.startswith(_NEW) or iam.privilege(action)["access_level"] == "Tagging")
    if tags_it and step in ("create", "update"):
        yield from _tagged(short, "aws:RequestTag")
    if kind != "tracking" and kind and not starts and iam.supports(action, kind, "aws:ResourceTag"):
        yield from _tagged(_owner(action, kind, short))
    if action == "ec2:CreateTags" and step == "create":
        yield "ec2:CreateAction", calls.actions("create")[0][0].partition(":")[2]
    if action == "elasticloadbalancing:AddTags" and step == "create":
        yield "elasticloadbalancing:CreateAction", calls.actions("create")[0][0].partition(":")[2]
    if action.startswith("kms:") and not calls.own.startswith("kms:"):
        yield "kms:ViaService", f"{calls.own.partition(':')[0]}.{iam.REGION}.amazonaws.com"
    if iam.supports(action, kind, "iam:PermissionsBoundary"):
        yield "iam:PermissionsBoundary", f"arn:aws:iam::{iam.ACCOUNT}:policy/people-info-qa-boundary"
    if action == "route53:ChangeResourceRecordSets":
        yield "route53:ChangeResourceRecordSetsNormalizedRecordNames", "people.qa.example.org"


def _owner(action: str, kind: str, stack: str) -> str:
    """Return the stack whose tags a resource has: a listener and its balancer belong to app_iac even for a preview."""
    return "app" if stack == "preview" and kind in ("listener/app", "key") else stack


def cli_operations(words: list[str]) -> list[str]:
    """Return the operations of the API that a command of the AWS CLI may stand for, as botocore knows them."""
    model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(words[0], words[0]))
    return list(model.operation_names)


def roles_of(calls: list[list[str]], environment: str = "qa") -> dict[str, list[Any]]:
    """Return the distinct commands by role, of one environment."""
    found: dict[str, list[Any]] = {}
    for role, *command in calls:
        where, _, task = role.partition("/")
        if where == environment and command not in found.setdefault(task, []):
            found[task].append(command)
    return found
