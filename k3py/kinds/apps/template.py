"""What kinds share that make pods from a template: how they are checked and printed."""

from collections.abc import Iterator

from k3py.api import labels
from k3py.api.kind import Column, Problem
from k3py.api.objects import Object, Objects
from k3py.kinds import problems as wrong
from k3py.kinds.core import pod as pods
from k3py.kinds.defaults import section


def default_template(template: Object) -> None:
    section(template, "metadata")
    pods.default_spec(section(template, "spec"))


def problems(obj: Object, old: Object | None) -> Iterator[Problem]:
    """What is wrong with replicas, selector and template, alone and together."""
    spec = obj["spec"]
    yield from wrong.not_negative("spec.replicas", spec.get("replicas"))
    yield from wrong.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _selector(spec)
    yield from _template(spec["template"])
    if old and spec.get("selector") != old["spec"].get("selector"):
        yield wrong.invalid("spec.selector", spec.get("selector"), wrong.IMMUTABLE)


def _selector(spec: Object) -> Iterator[Problem]:
    selector = spec.get("selector")
    if selector is None:
        yield wrong.required("spec.selector")
        return
    yield from wrong.selector("spec.selector", selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield wrong.invalid("spec.selector", selector, "empty selector is invalid for deployment")
    elif not any(wrong.selector("spec.selector", selector)):
        found = spec["template"]["metadata"].get("labels") or {}
        if not labels.selector(selector).matches(found):
            yield wrong.invalid(
                "spec.template.metadata.labels",
                found,
                "`selector` does not match template `labels`",
            )


def _template(template: Object) -> Iterator[Problem]:
    yield from pods.template_problems(template, "spec.template")
    spec = template["spec"]
    if spec["restartPolicy"] != "Always" and spec["restartPolicy"] in ("OnFailure", "Never"):
        yield wrong.unsupported(
            "spec.template.spec.restartPolicy", spec["restartPolicy"], ("Always",)
        )
    if spec.get("activeDeadlineSeconds") is not None:
        yield wrong.forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        )


def containers(obj: Object) -> Objects:
    found: Objects = obj["spec"]["template"]["spec"].get("containers") or []
    return found


WIDE_COLUMNS = (
    Column("Containers", lambda obj: ",".join(c["name"] for c in containers(obj)), priority=1),
    Column("Images", lambda obj: ",".join(c["image"] for c in containers(obj)), priority=1),
    Column("Selector", lambda obj: labels.text(obj["spec"].get("selector")), priority=1),
)
