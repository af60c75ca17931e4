"""The controls of the Pod Security Standard "restricted", which include those of "baseline".

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Values = dict[str, Any]

VOLUMES: Final = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
SYSCTLS: Final = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
}  # fmt: skip
SELINUX: Final = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def violations(pod: Values) -> list[str]:
    """Return the fields of a pod's specification that the standard does not permit."""
    return [*_of_pod(pod), *(problem for name, one in _containers(pod) for problem in _of_container(name, one, pod))]


def _containers(pod: Values) -> Iterator[tuple[str, Values]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from ((f"{kind}[{one['name']}]", one) for one in pod.get(kind) or ())


def _of_pod(pod: Values) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for volume in pod.get("volumes") or ():
        yield from (f"volumes[{volume['name']}].{kind}" for kind in set(volume) - {"name"} - VOLUMES)
    context = pod.get("securityContext") or {}
    for sysctl in context.get("sysctls") or ():
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctls[{sysctl['name']}]"
    yield from _of_context("pod", context)


def _of_container(name: str, container: Values, pod: Values) -> Iterator[str]:
    context, inherited = container.get("securityContext") or {}, pod.get("securityContext") or {}
    yield from _of_context(name, context)
    if context.get("privileged"):
        yield f"{name}.privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name}.allowPrivilegeEscalation"
    if context.get("procMount") not in (None, "Default"):
        yield f"{name}.procMount"
    yield from (f"{name}.hostPort" for port in container.get("ports") or () if port.get("hostPort"))
    yield from _capabilities(name, context.get("capabilities") or {})
    if context.get("runAsNonRoot", inherited.get("runAsNonRoot")) is not True:
        yield f"{name}.runAsNonRoot"
    profile = (context.get("seccompProfile") or inherited.get("seccompProfile") or {}).get("type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield f"{name}.seccompProfile"
    yield from _hosts(name, container)


def _capabilities(name: str, capabilities: Values) -> Iterator[str]:
    if "ALL" not in (capabilities.get("drop") or ()):
        yield f"{name}.capabilities.drop"
    yield from (f"{name}.capabilities.add[{one}]" for one in capabilities.get("add") or () if one != "NET_BIND_SERVICE")


def _of_context(name: str, context: Values) -> Iterator[str]:
    """Yield what neither a pod nor a container may set."""
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{name}.windowsOptions.hostProcess"
    if context.get("runAsUser") == 0:
        yield f"{name}.runAsUser"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield f"{name}.seLinuxOptions"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield f"{name}.appArmorProfile"
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield f"{name}.seccompProfile.type"


def _hosts(name: str, container: Values) -> Iterator[str]:
    """Yield the probes and lifecycle handlers that name a host, which version 1.34 of the standard forbids."""
    handlers = [container.get(f"{kind}Probe") or {} for kind in ("liveness", "readiness", "startup")]
    handlers += [one or {} for one in (container.get("lifecycle") or {}).values()]
    yield from (f"{name}.{kind}.host" for one in handlers for kind in ("httpGet", "tcpSocket") if (one.get(kind) or {}).get("host"))  # fmt: skip
