"""A namespace that is deleted is emptied, pods first, and then it is gone."""

from k3py import kinds
from k3py.api import conditions, errors
from k3py.api.objects import Key
from k3py.controllers.namespace import NamespaceController
from k3py.controllers.root_ca import RootCaController
from k3py.controllers.serviceaccount import ServiceAccountController
from tests.controllers.world import World, made, pod

HOME = Key("", "home")


def test_a_namespace_that_lives_is_left_alone():
    world = World(namespace(), settings("a")).start(NamespaceController).run()
    assert world.writes == []


def test_everything_goes_and_then_the_namespace():
    world = World(namespace(), settings("a"), settings("b"), made("Secret", "s", namespace="home"))
    world.start(NamespaceController)
    world.client.delete(kinds.NAMESPACE, HOME)
    world.run()
    assert world.names(kinds.CONFIG_MAP) == world.names(kinds.SECRET) == []
    assert world.names(kinds.NAMESPACE) == []
    assert world.writes[-1] == "update Namespace/home/finalize"


def test_pods_go_first_and_the_rest_waits_for_them():
    world = World(namespace(), settings("a"), pod("web", namespace="home"))
    world.start(NamespaceController)
    world.client.delete(kinds.NAMESPACE, HOME)
    world.run()
    assert world.names(kinds.CONFIG_MAP) == ["a"]
    left = conditions.find(world.get(kinds.NAMESPACE, "home"), "NamespaceContentRemaining")
    assert (left["status"], left["reason"], left["message"]) == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: pods. has 1 resource instances",
    )
    world.client.remove(kinds.POD, Key("home", "web"))
    world.run()
    assert world.names(kinds.NAMESPACE) == []


def test_other_namespaces_keep_what_they_have():
    world = World(namespace(), settings("a"), settings("b", namespace="work"))
    world.start(NamespaceController)
    world.client.delete(kinds.NAMESPACE, HOME)
    world.run()
    assert world.names(kinds.CONFIG_MAP) == ["b"]


def test_a_finalizer_holds_the_namespace_and_is_named():
    world = World(namespace(), settings("a", finalizers=["example.com/wait"]))
    world.start(NamespaceController)
    world.client.delete(kinds.NAMESPACE, HOME)
    world.run()
    held = conditions.find(world.get(kinds.NAMESPACE, "home"), "NamespaceFinalizersRemaining")
    assert held["message"] == (
        "Some content in the namespace has finalizers remaining: "
        "example.com/wait in 1 resource instances"
    )
    world.client.patch(kinds.CONFIG_MAP, Key("home", "a"), {"metadata": {"finalizers": None}})
    world.pass_time(60)
    assert world.names(kinds.NAMESPACE) == []


def test_a_refused_deletion_is_told_and_tried_again():
    world = World(namespace(), settings("a")).start(NamespaceController)
    world.client.delete(kinds.NAMESPACE, HOME)
    world.client.refuse("delete ConfigMap", errors.InternalError("disk"))
    world.step(world.controllers[0])
    namespace_ = world.get(kinds.NAMESPACE, "home")
    assert conditions.is_true(namespace_, "NamespaceDeletionContentFailure")
    world.pass_time(60)
    assert world.names(kinds.NAMESPACE) == []


def test_every_namespace_has_a_default_service_account():
    world = World(namespace()).start(ServiceAccountController).run()
    assert world.writes == ["create ServiceAccount/default"]
    world.client.delete(kinds.SERVICE_ACCOUNT, Key("home", "default"))
    world.run()
    assert world.names(kinds.SERVICE_ACCOUNT) == ["default"]


def test_every_namespace_has_the_root_ca_as_it_is_now():
    world = World(namespace(), settings("other")).start(RootCaController, root_ca="PEM").run()
    key = Key("home", "kube-root-ca.crt")
    assert world.client.get(kinds.CONFIG_MAP, key)["data"] == {"ca.crt": "PEM"}
    world.client.patch(kinds.CONFIG_MAP, key, {"data": {"ca.crt": "forged"}})
    world.run()
    assert world.client.get(kinds.CONFIG_MAP, key)["data"] == {"ca.crt": "PEM"}
    world.client.delete(kinds.CONFIG_MAP, key)
    world.run()
    assert world.client.get(kinds.CONFIG_MAP, key)["data"] == {"ca.crt": "PEM"}


def test_a_namespace_that_is_going_gets_nothing_new():
    world = World(namespace())
    world.client.delete(kinds.NAMESPACE, HOME)
    world.start(ServiceAccountController).start(RootCaController, root_ca="PEM").run()
    assert world.writes == ["delete Namespace/home"]


def namespace():
    spec = {"finalizers": ["kubernetes"]}
    return made("Namespace", "home") | {"spec": spec, "status": {"phase": "Active"}}


def settings(name, namespace="home", **about):
    return made("ConfigMap", name, namespace=namespace, **about) | {"data": {}}
