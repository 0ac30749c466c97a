"""Reviews: questions about who somebody is and what they may do. Answered, never stored."""

from collections.abc import Callable, Mapping

import orjson

from k3py.api import errors
from k3py.api.objects import Object
from k3py.apiserver import patching
from k3py.apiserver.authn.serviceaccounts import Reviewed, ServiceAccounts
from k3py.apiserver.authz import Attributes, Authorizer
from k3py.apiserver.authz.rbac import Rbac, Rule
from k3py.apiserver.request import MASTERS, One, Request, User

Verify = Callable[[str], User | None]


class Reviews:
    """`answers` is what the pipeline calls, by the plural of the kind."""

    def __init__(
        self, authorizer: Authorizer, rbac: Rbac, accounts: ServiceAccounts, others: list[Verify]
    ) -> None:
        self._authorizer, self._rbac = authorizer, rbac
        self._accounts, self._others = accounts, others

    def answers(self) -> Mapping[str, Callable[[Request], One]]:
        return {
            "tokenreviews": self.token,
            "selfsubjectreviews": self.whoami,
            "subjectaccessreviews": self.access,
            "localsubjectaccessreviews": self.access,
            "selfsubjectaccessreviews": self.own_access,
            "selfsubjectrulesreviews": self.own_rules,
        }

    def token(self, request: Request) -> One:
        spec = _spec(request)
        token = spec.get("token") or ""
        audiences = spec.get("audiences") or [self._accounts.audience]
        own = self._accounts.audience
        found = self._accounts.reviewed(token, audiences)
        if found is None and own in audiences:
            user = next(filter(None, (verify(token) for verify in self._others)), None)
            found = Reviewed(user, [own]) if user else None
        if found is None:
            return _answer(request, spec, {"user": {}, "error": "invalid bearer token"})
        status = {
            "authenticated": True,
            "user": _user_info(found.user),
            "audiences": found.audiences,
        }
        return _answer(request, spec, status)

    def whoami(self, request: Request) -> One:
        return _answer(request, None, {"userInfo": _user_info(request.user)})

    def access(self, request: Request) -> One:
        spec = _spec(request)
        extra = {k: tuple(v) for k, v in (spec.get("extra") or {}).items()}
        user = User(spec.get("user") or "", tuple(spec.get("groups") or ()), extra=extra)
        return self._decide(request, spec, user)

    def own_access(self, request: Request) -> One:
        return self._decide(request, _spec(request), request.user)

    def own_rules(self, request: Request) -> One:
        spec = _spec(request)
        namespace = spec.get("namespace")
        if not namespace:
            raise errors.BadRequest("no namespace on request")
        rules = list(self._rbac.rules(request.user, namespace))
        if MASTERS in request.user.groups:
            everything = frozenset("*")
            rules.append(Rule(everything, everything, everything, paths=("*",)))
        status = {
            "resourceRules": [_resource_rule(r) for r in rules if r.resources],
            "nonResourceRules": [
                {"verbs": sorted(r.verbs), "nonResourceURLs": list(r.paths)}
                for r in rules
                if r.paths
            ],
            "incomplete": False,
        }
        return _answer(request, spec, status)

    def _decide(self, request: Request, spec: Object, user: User) -> One:
        allowed = self._authorizer.allows(user, _attributes(spec))
        return _answer(request, spec, {"allowed": allowed})


def _attributes(spec: Object) -> Attributes:
    of_path = spec.get("nonResourceAttributes")
    if of_path is not None:
        return Attributes(of_path.get("verb", ""), path=of_path.get("path", "") or "/")
    of_resource = spec["resourceAttributes"]
    fields = ("verb", "group", "resource", "subresource", "namespace", "name")
    found = Attributes(**{f: str(of_resource.get(f) or "") for f in fields})
    if found.resource == "namespaces" and found.name and not found.namespace:
        return Attributes(**{**found.__dict__, "namespace": found.name})
    return found


def _spec(request: Request) -> Object:
    """What is asked. Raises Invalid, BadRequest for what is no question."""
    kind = request.kind
    body = patching.decoded_as(kind.api_version, kind.kind, request.body)
    body["metadata"]["namespace"] = request.namespace
    kind.default(body)
    if problems := list(kind.validate(body, None)):
        raise errors.invalid(kind, "", problems)
    spec: Object = body.get("spec") or {}
    return spec


def _answer(request: Request, spec: Object | None, status: Object) -> One:
    kind = request.kind
    answer: Object = {"kind": kind.kind, "apiVersion": kind.api_version}
    answer["metadata"] = {"creationTimestamp": None}
    if spec is not None:
        answer["spec"] = spec
    return One(orjson.dumps(answer | {"status": status}), 201)


def _user_info(user: User) -> Object:
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {k: list(v) for k, v in user.extra.items()}
    return info


def _resource_rule(rule: Rule) -> Object:
    found = {
        "verbs": sorted(rule.verbs),
        "apiGroups": sorted(rule.groups),
        "resources": sorted(rule.resources),
    }
    return found | ({"resourceNames": sorted(rule.names)} if rule.names else {})
