"""What is wrong with a pod, or with the template of one."""

from collections.abc import Iterator, Mapping
from typing import Any

from k3py.api import names
from k3py.api.kind import Problem
from k3py.api.objects import Object
from k3py.kinds import problems as wrong
from k3py.kinds.core.pod import containers, placement, volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MOST_NAMESERVERS = 3
_MOST_SEARCHES = 32
_MOST_SECONDS = 2**31 - 1


def problems(pod: Object) -> Iterator[Problem]:
    yield from spec_problems(pod["spec"], "spec")


def creation_problems(pod: Object) -> Iterator[Problem]:
    """What only matters when a pod is new."""
    if pod["spec"].get("ephemeralContainers"):
        yield wrong.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if pod["spec"].get("nodeName") and pod["spec"].get("schedulingGates"):
        yield wrong.forbidden(
            "spec.nodeName", "cannot be set until all schedulingGates have been cleared"
        )


def template_problems(template: Object | None, field: str) -> Iterator[Problem]:
    """What is wrong with a PodTemplateSpec."""
    template = template or {}
    metadata = template.get("metadata") or {}
    yield from wrong.label_map(f"{field}.metadata.labels", metadata.get("labels"))
    yield from spec_problems(template.get("spec") or {}, f"{field}.spec")
    if (template.get("spec") or {}).get("ephemeralContainers"):
        yield wrong.forbidden(
            f"{field}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"
        )


def spec_problems(spec: Object, field: str) -> Iterator[Problem]:
    every = volumes.names(spec)
    yield from volumes.problems(spec.get("volumes") or (), f"{field}.volumes")
    yield from containers.problems(spec, field, every)
    yield from _policies(spec, field)
    yield from _identity(spec, field)
    yield from _dns(spec.get("dnsConfig") or {}, spec.get("dnsPolicy"), f"{field}.dnsConfig")
    yield from _host_aliases(spec, field)
    yield from placement.problems(spec, field)
    yield from containers.amount_problems(spec.get("overhead"), f"{field}.overhead")


def _policies(spec: Object, field: str) -> Iterator[Problem]:
    yield from wrong.one_of(f"{field}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    yield from wrong.one_of(f"{field}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    yield from wrong.not_negative(
        f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")
    )
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MOST_SECONDS:
        yield wrong.invalid(
            f"{field}.activeDeadlineSeconds",
            deadline,
            f"must be between 1 and {_MOST_SECONDS}, inclusive",
        )
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        yield wrong.invalid(
            f"{field}.shareProcessNamespace",
            True,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        )
    yield from _security(spec.get("securityContext") or {}, f"{field}.securityContext")


def _security(context: Mapping[str, Any], field: str) -> Iterator[Problem]:
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        yield from containers.user_id(f"{field}.{name}", context.get(name))
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from containers.user_id(f"{field}.supplementalGroups[{index}]", group)
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        if not sysctl.get("name"):
            yield wrong.required(f"{field}.sysctls[{index}].name")


def _identity(spec: Object, field: str) -> Iterator[Problem]:
    rules = {
        "nodeName": names.subdomain_problem,
        "serviceAccountName": names.subdomain_problem,
        "priorityClassName": names.subdomain_problem,
        "runtimeClassName": names.subdomain_problem,
        "hostname": names.label_problem,
        "subdomain": names.label_problem,
    }
    for name, rule in rules.items():
        if spec.get(name) and (why := rule(spec[name])):
            yield wrong.invalid(f"{field}.{name}", spec[name], why)
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield wrong.required(f"{field}.imagePullSecrets[{index}].name")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        yield from wrong.label_map(
            f"{field}.readinessGates[{index}].conditionType", {gate.get("conditionType", ""): ""}
        )


def _dns(config: Mapping[str, Any], policy: Any, field: str) -> Iterator[Problem]:
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if policy == "None" and not servers:
        where = f"{field}.nameservers" if config else field
        message = "at least one DNS nameserver" if config else "`dnsConfig`"
        yield wrong.required(where, f"must provide {message} when `dnsPolicy` is None")
    if len(servers) > _MOST_NAMESERVERS:
        yield wrong.invalid(
            f"{field}.nameservers",
            servers,
            f"must not have more than {_MOST_NAMESERVERS} nameservers",
        )
    for index, server in enumerate(servers):
        yield from wrong.address(f"{field}.nameservers[{index}]", server)
    if len(searches) > _MOST_SEARCHES:
        yield wrong.invalid(
            f"{field}.searches", searches, f"must not have more than {_MOST_SEARCHES} search paths"
        )
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield wrong.required(f"{field}.options[{index}]", "must not be empty")


def _host_aliases(spec: Object, field: str) -> Iterator[Problem]:
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        path = f"{field}.hostAliases[{index}]"
        yield from wrong.address(f"{path}.ip", alias.get("ip", ""))
        for place, host in enumerate(alias.get("hostnames") or ()):
            if why := names.subdomain_problem(host):
                yield wrong.invalid(f"{path}.hostnames[{place}]", host, why)
