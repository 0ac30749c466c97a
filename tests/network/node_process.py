"""A node's network in a process of its own, told by lines of JSON what the API would say."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from k3py.base import log, threads
from k3py.network.agent import NetworkAgent
from tests.network import fakes, plan


def main() -> None:
    n = int(sys.argv[1])
    log.configure(debug=True)
    api = fakes.Api()
    agent = NetworkAgent(
        api.client,
        api.informers,
        node_name=plan.name(n),
        node_ip=plan.lan(n),
        cluster_cidr=plan.CLUSTER,
        service_cidr=plan.SERVICES,
        dns_ip=plan.DNS,
        cluster_domain=plan.DOMAIN,
        resolv_conf=Path(sys.argv[2]),
    )
    group = threads.Group("node")
    group.start("network", agent.run)

    verbs: dict[str, Any] = {
        "tell": api.tell,
        "wait_ready": lambda: agent.ready.wait(10) or _fail("not ready"),
        "attach": lambda uid, netns: agent.pods.attach(uid, Path(netns)),
        "detach": agent.pods.detach,
        "retain": lambda uids: agent.pods.retain(set(uids)),
        "addresses": agent.pods.addresses,
        "patches": lambda: api.client.patches,
        "threads": lambda: sorted(t.name for t in threading.enumerate()),
        "cpu_seconds": time.process_time,
        "rss": lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4,
    }
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        try:
            answer = {"result": verbs[verb](*arguments)}
        except Exception as failure:
            answer = {"error": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(answer), flush=True)
    group.stop()


def _fail(why: str) -> None:
    raise TimeoutError(why)


if __name__ == "__main__":
    main()
