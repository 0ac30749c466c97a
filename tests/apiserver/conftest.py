"""A whole API server in the test's process, on a store in a temporary folder."""

import pytest

from k3py.apiserver.request import Options, Request, User
from k3py.base import threads
from k3py.store.store import Store
from tests.apiserver import serving

ADMIN = User("admin", ("system:masters", "system:authenticated"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    serving.make_certificates(folder)
    return folder


@pytest.fixture
def store(tmp_path):
    group = threads.Group("store")
    made = Store(tmp_path / "store.db")
    made.start(group)
    yield made
    group.stop()
    made.close()


@pytest.fixture
def api(store, certificates):
    made = serving.make_server(certificates, store, tokens={"secret": ADMIN}.get)
    serving.prepare(made)
    return made


@pytest.fixture
def client(api):
    return api.client("admin", ("system:masters",))


@pytest.fixture
def ask(api):
    """Any request at all, straight into the pipeline."""

    def send(verb, kind, namespace="", name="", subresource="", body=None, how="", user=ADMIN, **o):
        options = Options(**{"validation": "Strict", "manager": "test"} | o)
        return api.pipeline.handle(
            Request(user, verb, kind, namespace, name, subresource, body, how, options)
        )

    return send


@pytest.fixture
def http(api):
    """The same server over (pretended) HTTP, as a holder of a token."""
    flask_client = api.app.test_client()

    class Http:
        def __call__(self, method, path, *, token="secret", headers=(), **options):
            given = {"Authorization": f"Bearer {token}"} if token else {}
            return flask_client.open(path, method=method, headers=given | dict(headers), **options)

    return Http()
