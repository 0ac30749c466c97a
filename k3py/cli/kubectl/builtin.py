"""The built-in commands: get, describe, apply, delete, logs, exec, in kubectl's words."""

import sys
from pathlib import Path
from typing import Any

import click
import yaml

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.api.objects import Key, Object
from k3py.cli.kubectl import describe as description
from k3py.cli.kubectl import printing, session
from k3py.cli.kubectl.session import Session
from k3py.client import remote
from k3py.client.client import Patch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kubeconfig", default="", metavar="FILE", help="Which cluster, and as whom.")
@click.option("--namespace", "-n", default="", help="The namespace.")
@click.pass_context
def builtin(ctx: click.Context, kubeconfig: str, namespace: str) -> None:
    """The everyday commands of kubectl. Install the real one for the rest:
    apt-get install kubernetes-client, or see kubernetes.io/docs/tasks/tools."""
    ctx.obj = (kubeconfig, namespace)


def _session(ctx: click.Context, namespace: str) -> Session:
    kubeconfig, given = ctx.obj
    return session.opened(kubeconfig, namespace or given)


_namespace = click.option("--namespace", "-n", default="", help="The namespace.")
_selector = click.option("--selector", "-l", default="", help="Labels, as app=web.")
_file = click.option("--filename", "-f", "files", multiple=True, help="A file; - is the input.")


@builtin.command()
@click.argument("what", nargs=-1)
@click.option("--output", "-o", default="", help="wide, yaml, json or name.")
@click.option("--all-namespaces", "-A", "everywhere", is_flag=True)
@_selector
@_namespace
@click.pass_context
def get(
    ctx: click.Context,
    what: tuple[str, ...],
    output: str,
    everywhere: bool,
    selector: str,
    namespace: str,
) -> None:
    """List things: get pods, get deployment web -o yaml."""
    if output not in ("", "wide", "yaml", "json", "name"):
        raise click.BadParameter("must be wide, yaml, json or name", param_hint="--output")
    ses = _session(ctx, namespace)
    found = session.targets(what)
    if output in ("", "wide"):
        tables: dict[Kind, list[Object]] = {
            kind: [] for kind, _ in found
        }  # of one kind there is one table
        for kind, name in found:
            tables[kind].append(_table(ses, kind, name, selector, everywhere))
        many = len(tables) > 1
        texts = [
            printing.table(
                printing.joined(parts),
                wide=output == "wide",
                namespaces=everywhere,
                prefix=f"{_singular(kind)}/" if many else "",
            )
            for kind, parts in tables.items()
        ]
        shown = "\n".join(filter(None, texts))
        click.echo(shown or _nothing_found(ses, found, everywhere), nl=False)
        return
    objects = [o for kind, name in found for o in _objects(ses, kind, name, selector, everywhere)]
    click.echo(printing.objects(objects, output, single=bool(found[0][1]) and len(found) == 1))


def _nothing_found(ses: Session, found: list[tuple[Kind, str]], everywhere: bool) -> str:
    spaced = any(kind.namespaced for kind, _ in found) and not everywhere
    return f"No resources found{f' in {ses.namespace} namespace' if spaced else ''}.\n"


def _table(ses: Session, kind: Kind, name: str, selector: str, everywhere: bool) -> Object:
    where = remote.path(kind, ses.namespace_of(kind, everywhere=everywhere), name)
    query = {"labelSelector": selector} if selector else None
    return ses.client.request("GET", where, query=query, accept=printing.TABLE)


def _objects(ses: Session, kind: Kind, name: str, selector: str, everywhere: bool) -> list[Object]:
    namespace = ses.namespace_of(kind, everywhere=everywhere)
    if name:
        return [ses.client.get(kind, Key(namespace, name))]
    return ses.client.list(kind, namespace, labels=selector).items


@builtin.command()
@click.argument("what", nargs=-1)
@_selector
@_namespace
@click.pass_context
def describe(ctx: click.Context, what: tuple[str, ...], selector: str, namespace: str) -> None:
    """Tell all about something, with its events: describe pod web."""
    ses = _session(ctx, namespace)
    texts = [
        description.text(ses.client, kind, obj)
        for kind, name in session.targets(what)
        for obj in _objects(ses, kind, name, selector, everywhere=False)
    ]
    click.echo("\n\n".join(texts))


@builtin.command()
@_file
@_namespace
@click.pass_context
def apply(ctx: click.Context, files: tuple[str, ...], namespace: str) -> None:
    """Make what a file says true: apply -f web.yaml (server-side)."""
    ses = _session(ctx, namespace)
    for obj in _read(files):
        kind, key = _identity(ses, obj)
        try:
            before = ses.client.get(kind, key)["metadata"].get("resourceVersion")
        except errors.NotFound:
            before = None
        done = ses.client.patch(kind, key, obj, how=Patch.APPLY, manager="kubectl", force=True)
        same = before == done["metadata"].get("resourceVersion")
        said = "created" if before is None else "unchanged" if same else "configured"
        click.echo(f"{_singular(kind)}/{key.name} {said}")


@builtin.command()
@click.argument("what", nargs=-1)
@_file
@_selector
@_namespace
@click.option("--grace-period", default=-1, help="Seconds until containers are killed.")
@click.option("--force", is_flag=True, help="With --grace-period=0: do not wait for the node.")
@click.option("--ignore-not-found", is_flag=True)
@click.pass_context
def delete(
    ctx: click.Context,
    what: tuple[str, ...],
    files: tuple[str, ...],
    selector: str,
    namespace: str,
    grace_period: int,
    force: bool,
    ignore_not_found: bool,
) -> None:
    """Delete things: delete pod web, delete -f web.yaml."""
    if not files and not what:
        raise click.UsageError("name what to delete: pod web, or -f FILE")
    ses = _session(ctx, namespace)
    doomed = [_identity(ses, obj) for obj in _read(files)] if files else []
    for kind, name in session.targets(what) if what else ():
        if not name and not selector:
            raise click.UsageError("name what to delete, or select it with -l")
        doomed += [
            (kind, Key(ses.namespace_of(kind), o["metadata"]["name"]))
            for o in ([{"metadata": {"name": name}}] if name else
                      _objects(ses, kind, "", selector, everywhere=False))
        ]  # fmt: skip
    grace = 0 if force and grace_period < 0 else None if grace_period < 0 else grace_period
    for kind, key in doomed:
        try:
            ses.client.delete(kind, key, grace=grace, propagation="Background")
        except errors.NotFound:
            if not ignore_not_found:
                raise
        else:
            click.echo(f'{_singular(kind)} "{key.name}" deleted')


@builtin.command()
@click.argument("pod")
@click.argument("name", required=False, default="")
@click.option("--container", "-c", default="")
@click.option("--follow", "-f", is_flag=True)
@click.option("--previous", "-p", is_flag=True)
@click.option("--tail", default=-1, help="Lines.")
@click.option("--since", default="", help="Such as 10s, 5m, 2h.")
@click.option("--timestamps", is_flag=True)
@_namespace
@click.pass_context
def logs(
    ctx: click.Context,
    pod: str,
    name: str,
    container: str,
    follow: bool,
    previous: bool,
    tail: int,
    since: str,
    timestamps: bool,
    namespace: str,
) -> None:
    """Print what a container wrote: logs web, logs web -f."""
    ses = _session(ctx, namespace)
    query = {"container": container or name}
    query |= {"tailLines": str(tail)} if tail >= 0 else {}
    query |= {"sinceSeconds": str(printing.seconds(since))} if since else {}
    for flag, given in (("follow", follow), ("previous", previous), ("timestamps", timestamps)):
        query |= {flag: "true"} if given else {}
    where = remote.path(session.kind_of("pods"), ses.namespace, _pod_name(pod), "log")
    for piece in ses.client.stream("GET", where, query=query):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@builtin.command("exec", context_settings={"ignore_unknown_options": True})
@click.option("--container", "-c", default="")
@click.option("--stdin", "-i", is_flag=True)
@click.option("--tty", "-t", is_flag=True)
@_namespace
@click.argument("pod")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(
    ctx: click.Context,
    container: str,
    stdin: bool,
    tty: bool,
    namespace: str,
    pod: str,
    command: tuple[str, ...],
) -> None:
    """Run a command in a container: exec -it web -- sh."""
    from k3py.cli.kubectl import execute as executing

    ses = _session(ctx, namespace)
    code = executing.run(
        ses.client, ses.namespace, _pod_name(pod), command,
        container=container, stdin=stdin, tty=tty,
    )  # fmt: skip
    sys.exit(code)


def _pod_name(text: str) -> str:
    kind, slash, name = text.partition("/")
    if slash and kind not in ("pod", "pods", "po"):
        raise click.UsageError(f"{text}: only pods can be named here")
    return name if slash else kind


def _read(files: tuple[str, ...]) -> list[Object]:
    if not files:
        raise click.UsageError("which file? -f FILE, or -f - for the input")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Object] = []
    for name in files:
        for path in _paths(name):
            try:
                text = sys.stdin.read() if path is None else path.read_text()
                documents = list(yaml.load_all(text, Loader=loader))
            except (yaml.YAMLError, UnicodeDecodeError) as wrong:
                raise click.ClickException(f"{path or 'the input'}: is not YAML: {wrong}") from None
            for document in documents:
                found += _flat(document, name)
    return found


def _paths(name: str) -> list[Path | None]:
    if name == "-":
        return [None]
    path = Path(name)
    if path.is_dir():
        return [p for p in sorted(path.iterdir()) if p.suffix in (".yaml", ".yml", ".json")]
    if not path.exists():
        raise click.ClickException(f'the path "{name}" does not exist')
    return [path]


def _flat(document: Any, name: str) -> list[Object]:
    """A List's items, one by one; an empty document is nothing."""
    if document is None:
        return []
    if not isinstance(document, dict) or not document.get("kind"):
        raise click.ClickException(f"{name}: a document without kind is no object")
    if document["kind"] == "List":
        return [o for item in document.get("items") or () for o in _flat(item, name)]
    return [document]


def _identity(ses: Session, obj: Object) -> tuple[Kind, Key]:
    kind = session.kind_of_object(str(obj.get("apiVersion")), str(obj["kind"]))
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise click.ClickException(f"a {kind.kind} without metadata.name cannot be named")
    namespace = (metadata.get("namespace") or ses.namespace) if kind.namespaced else ""
    return kind, Key(namespace, metadata["name"])


def _singular(kind: Kind) -> str:
    return f"{kind.singular}.{kind.group}" if kind.group else kind.singular
