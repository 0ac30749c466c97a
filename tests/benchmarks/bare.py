"""The bare server: the API server's own listener and Flask, and nothing behind them.

It answers every GET, LIST and POST with the bytes of a file, and hands what is posted to
whoever watches: less than this no API server on the same libraries can do.

python -m tests.benchmarks.bare FOLDER PORT     FOLDER: get, list, post (the answers), tls/
"""

import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    from k3py.base import threads

    threads.use_greenlets()

import queue

import flask

from k3py.apiserver import listener
from k3py.base import threads as base_threads

JSON = "application/json"


def application(folder: Path) -> flask.Flask:
    app = flask.Flask("bare", static_folder=None)
    answers = {name: (folder / name).read_bytes() for name in ("get", "list", "post")}
    watches: list[queue.SimpleQueue[bytes]] = []

    @app.route("/<path:path>", methods=["GET", "POST"])
    def serve(path: str) -> flask.Response:
        if flask.request.method == "POST":
            line = flask.request.get_data() + b"\n"
            for watch in watches:
                watch.put(line)
            return flask.Response(answers["post"], 201, mimetype=JSON)
        if flask.request.args.get("watch"):
            mine: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            watches.append(mine)
            mine.put(b"\n")  # the answer's head leaves with its first byte
            return flask.Response(iter(mine.get, None), mimetype=JSON)
        return flask.Response(answers["list" if path.endswith("s") else "get"], mimetype=JSON)

    return app


def main(folder: Path, port: int) -> None:
    stop = base_threads.Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pem = folder / "tls"
    identity = listener.server_identity(
        pem / "server.crt", pem / "server.key", pem / "client-ca.crt"
    )
    listener.listen(application(folder), "127.0.0.1", port, identity, stop)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
