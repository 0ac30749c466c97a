"""The API: reads, durable creates and the fan-out of watches, beside bare server and store.

The server is `k3py server --disable-agent` with all its controllers; the bare server has the
same listener, Flask and TLS and gives the same answers without making them.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from k3py.api import errors
from k3py.api.objects import Key
from k3py.base import commands
from k3py.client import kubeconfig
from k3py.kinds import POD, SERVICE_ACCOUNT
from tests.benchmarks import private, store
from tests.benchmarks.figure import Beside, Figure

PODS = 500
WATCHERS = 500
ROUNDS = 10
START_SECONDS = 60
SPACE = "/api/v1/namespaces/default"
# As large as the values in tests.benchmarks.store.
FILLING = "x" * 1500


def measure(options):
    with options.temporary() as folder:
        found = private.run("tests.benchmarks.api", folder, str(options.seconds))
    floors = found["store"]
    return [
        *_rates("GET a pod", found, "get", floors["store: gets/s"]),
        *_rates("LIST 500 pods", found, "list", floors["store: lists of 500/s"]),
        *_rates("create a ConfigMap", found, "create", floors),
        *_rates("create a pod", found, "create pod", floors),
        *(_fan_out(found, floors, which) for which in ("median", "last")),
        Figure("disk: appends with fdatasync", floors["disk: appends with fdatasync/s"], "/s"),
    ]


def _rates(what, found, task, floor):
    """A figure for each number of clients; `floor` of the store's by writers, or one for all."""
    figures = []
    for clients in (1, 16):
        name = f"{task} {clients}"
        key = f"store: durable writes/s, {clients} writers"
        beside = (
            Beside("bare server", found["bare"][name]["per second"]),
            Beside("bare store", floor[key] if isinstance(floor, dict) else floor),
        )
        many = "1 client" if clients == 1 else f"{clients} clients"
        rate = found["server"][name]["per second"]
        figures.append(Figure(f"api: {what}, {many}", rate, "/s", beside))
    return figures


def _fan_out(found, floors, which):
    beside = (
        Beside("bare server", found["bare"]["fan-out"][f"{which} ms"]),
        Beside("bare store", floors[f"store: fan-out to {WATCHERS}, {which} ms"]),
    )
    name = f"api: a create told to {WATCHERS} watches, {which}"
    return Figure(name, found["server"]["fan-out"][f"{which} ms"], "ms", beside)


# --- in the private part of the machine


def inside(folder, seconds):
    """The raw figures. One thing at a time: there may be only two cores."""
    folder, seconds = Path(folder), float(seconds)
    of_store = {}
    for part in store.ALL:
        of_store |= part(folder)
    of_server = _served(folder, seconds)
    of_bare = _bare(folder, seconds)
    return {"store": of_store, "server": of_server, "bare": of_bare}


def _served(folder, seconds):
    port, log, config = private.free_port(), folder / "server.log", folder / "kubeconfig"
    no_settings = folder / "config.yaml"
    no_settings.touch()
    with private.process(
        *(sys.executable, "-m", "k3py", "server", "--disable-agent", "--config", str(no_settings)),
        *("--data-dir", str(folder / "data"), "--write-kubeconfig", str(config)),
        *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"),
        *("--node-name", "pi1", "--https-listen-port", str(port)),
        log=log,
    ) as process:
        client = _client(process, config, log)
        _fill(client)
        server = _credentials(folder, port, kubeconfig.read(config))
        _keep_answers(folder, server)
        return _loads(server, seconds)


def _bare(folder, seconds):
    tls = folder / "tls"
    made = folder / "data/server/tls"
    for name, place in {
        "server.crt": "serving-kube-apiserver.crt",
        "server.key": "serving-kube-apiserver.key",
        "client-ca.crt": "client-ca.crt",
    }.items():
        shutil.copy(made / place, tls / name)
    port = private.free_port()
    module = (sys.executable, "-m", "tests.benchmarks.bare")
    with private.process(*module, str(folder), str(port), log=folder / "bare.log") as process:
        server = json.loads((folder / "server.json").read_text()) | {"port": port}
        _patiently(process, folder / "bare.log", lambda: _ask(server, _get(f"{SPACE}/pods/p")))
        return _loads(server, seconds)


def _loads(server, seconds):
    """The same for both servers."""
    tasks = {
        "get": _get(f"{SPACE}/pods/web-250"),
        "list": _get(f"{SPACE}/pods"),
        "create": _post(f"{SPACE}/configmaps", _config_map("load-CC-%N")),
        "create pod": _post(f"{SPACE}/pods", _pod("load-CC-%N")),
    }
    found = {}
    for name, request in tasks.items():
        for clients in (1, 16):
            task = {"kind": "requests", "clients": clients, "seconds": seconds}
            unique = request.replace("load-CC", f"load-{clients:02}")
            found[f"{name} {clients}"] = _load(server, task | {"request": unique})
    watch = _get(f"{SPACE}/configmaps?watch=1&labelSelector=told%3Dyes")
    told = _post(f"{SPACE}/configmaps", _config_map("told-%N", told="yes"))
    task = {"kind": "fan-out", "watch": watch, "request": told}
    found["fan-out"] = _load(server, task | {"watchers": WATCHERS, "rounds": ROUNDS})
    return found


def _load(server, task):
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load"],
        input=json.dumps(task | {"server": server}),
        capture_output=True,
        text=True,
        timeout=120,
        env=private.environment(),
        check=False,
    )
    if done.returncode:
        raise commands.CommandFailed(("load", task["kind"]), done.returncode, done.stderr)
    return json.loads(done.stdout)


def _client(process, config, log):
    """The administrator's client, once the API serves what pods need."""

    def served():
        client = kubeconfig.read(config).client()
        client.get(SERVICE_ACCOUNT, Key("default", "default"))
        return client

    return _patiently(process, log, served)


def _patiently(process, log, ask):
    """What `ask` returns as soon as it does not raise."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return ask()
        except (OSError, RuntimeError, errors.ApiError, kubeconfig.Unusable) as failure:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no server: {log.read_text()[-3000:]}") from failure
            time.sleep(0.05)


def _fill(client):
    """Pods that no scheduler takes: they stay as they are."""
    for number in range(PODS):
        client.create(POD, json.loads(_pod(f"web-{number}")))


def _credentials(folder, port, config):
    tls = folder / "tls"
    tls.mkdir(mode=0o700)
    files = {"ca": config.ca, "certificate": config.certificate, "key": config.key}
    for name, content in files.items():
        (tls / name).write_bytes(content)
    server = {"port": port} | {name: str(tls / name) for name in files}
    (folder / "server.json").write_text(json.dumps(server))
    return server


def _keep_answers(folder, server):
    """What the bare server is to answer."""
    requests = {
        "get": _get(f"{SPACE}/pods/web-250"),
        "list": _get(f"{SPACE}/pods"),
        "post": _post(f"{SPACE}/configmaps", _config_map("first")),
    }
    for name, request in requests.items():
        (folder / name).write_bytes(_ask(server, request))


def _ask(server, request):
    from tests.benchmarks.load import Connection

    return Connection(server).ask(request.encode())


def _get(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


def _post(path, body):
    # %N in the body becomes six digits.
    length = len(body) + 4 * body.count("%N")
    head = "Content-Type: application/json\r\nAccept: application/json\r\n"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    )


def _config_map(name, **labels):
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return json.dumps({"metadata": metadata, "data": {"text": FILLING}})


def _pod(name):
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    container = {
        "name": "web",
        "image": "docker.io/library/busybox:1.36",
        "command": ["httpd", "-f", "-p", "8080"],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [{"name": "MODE", "value": "production"}],
        "resources": resources,
        "readinessProbe": probe,
    }
    return json.dumps(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"app": "web", "tier": "front"},
            },
            "spec": {"schedulerName": "nobody", "containers": [container]},
        }
    )
