"""Lists and watches: where they begin, how they go on page by page, and when it is too late.

A page after the first is read from what is true now, not from the past: a continue token
carries the revision of the first page, and a watch from that revision brings everything
since. A token whose revision is compacted away answers 410 with a token to go on anyway.
"""

import base64
import binascii
from typing import NamedTuple

import orjson

from k3py.api import errors
from k3py.api.kind import Kind
from k3py.apiserver import keys
from k3py.apiserver.request import Many, Options, Request
from k3py.apiserver.selection import Selection, selection
from k3py.apiserver.watching import Refused, Stream
from k3py.base.clock import SYSTEM, Clock
from k3py.store.errors import Compacted
from k3py.store.record import Page, Record
from k3py.store.store import Store

# How many records a filtered, limited list reads at a time.
_CHUNK = 500


class Continue(NamedTuple):
    """Where the next page begins; `revision` 0 takes what is there, however inconsistent."""

    revision: int
    start: str

    def text(self) -> str:
        packed = orjson.dumps({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start})
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Continue":
        try:
            found = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return cls(int(found["rv"]), str(found["start"]))
        except (binascii.Error, ValueError, KeyError, TypeError):
            raise errors.BadRequest("continue key is not valid: illegal base64 data") from None


def answer(store: Store, request: Request) -> Many:
    """The list that a request asks for."""
    kind, options = request.kind, request.options
    chosen = selection(kind, options.labels, options.fields)
    prefix = keys.prefix(kind, request.namespace)
    if options.continue_:
        return _page(store, chosen, prefix, options.limit, Continue.parse(options.continue_))
    _check_revision(store, prefix, options)
    exact = exact_key(kind, request.namespace, chosen)
    if exact:
        return _single(store, chosen, exact)
    return _page(store, chosen, prefix, options.limit, None)


def exact_key(kind: Kind, namespace: str, chosen: Selection) -> str:
    """The only key a selection can select, where it names one; otherwise empty."""
    name = chosen.fields.exact("metadata.name")
    if name is None or "/" in name:
        return ""
    if not kind.namespaced:
        return keys.prefix(kind) + f"/{name}"
    namespace = namespace or chosen.fields.exact("metadata.namespace") or ""
    return keys.prefix(kind, namespace) + name if namespace else ""


def stream(store: Store, request: Request, *, clock: Clock = SYSTEM) -> Stream | Refused:
    """The watch that a request asks for.

    Without a revision, or from "0", it begins with the state; otherwise after that revision.
    """
    kind, options = request.kind, request.options
    label_text, field_text = options.labels, options.fields
    if request.name:
        field_text = ",".join(filter(None, (field_text, f"metadata.name={request.name}")))
    chosen = selection(kind, label_text, field_text)
    prefix = keys.prefix(kind, request.namespace)
    since = _revision(options.since)
    _check_initial(options)
    with_state = options.initial_events
    if with_state is None:
        with_state = since == 0
    if since > store.revision:
        return Refused(chosen, _too_large(since, store.revision))
    state = store.list(prefix) if with_state else Page([], store.revision, 0)
    start = state.revision if with_state or since == 0 else since
    try:
        watch = store.watch(prefix, start)
    except Compacted:
        return Refused(chosen, _too_old(start))
    return Stream(
        watch,
        store,
        chosen,
        initial=state.records,
        initial_revision=state.revision,
        announce_initial=bool(options.initial_events and options.bookmarks),
        bookmarks=options.bookmarks,
        seconds=options.timeout,
        exact_key=exact_key(kind, request.namespace, chosen),
        clock=clock,
    )


def _single(store: Store, chosen: Selection, key: str) -> Many:
    revision = store.revision
    record = store.get(key)
    found = [record.value] if record and record.value and chosen.matches(record.value) else []
    return Many(chosen.kind, found, max(revision, record.revision if record else 0))


def _page(store: Store, chosen: Selection, prefix: str, limit: int, after: Continue | None) -> Many:
    start = prefix + after.start if after else ""
    if after and after.revision and not _is_kept(store, prefix, after.revision):
        raise _expired_token(Continue(0, after.start))
    if not chosen or not limit:
        page = store.list(prefix, start=start, limit=limit)
        items = [r.value for r in page.records if r.value and chosen.matches(r.value)]
        remaining, last = page.remaining, page.records[-1].key if page.records else ""
        revision = page.revision
    else:
        items, remaining, last, revision = _filtered(store, chosen, prefix, start, limit)
    revision = after.revision if after and after.revision else revision
    if not remaining:
        return Many(chosen.kind, items, revision)
    # The key right behind the last one: no key contains a character below "!".
    token = Continue(revision, last.removeprefix(prefix) + "\0").text()
    return Many(chosen.kind, items, revision, token, None if chosen else remaining)


def _filtered(
    store: Store, chosen: Selection, prefix: str, start: str, limit: int
) -> tuple[list[bytes], int, str, int]:
    """Up to `limit` selected values; how many records are left, the last key read, the revision."""
    items: list[bytes] = []
    revision, last = 0, ""
    while True:
        page = store.list(prefix, start=start, limit=_CHUNK)
        revision = revision or page.revision
        for at, record in enumerate(page.records):
            last = record.key
            if record.value and chosen.matches(record.value):
                items.append(record.value)
            if len(items) == limit:
                return items, page.remaining + len(page.records) - at - 1, last, revision
        if not page.remaining:
            return items, 0, last, revision
        start = last + "\0"


def _check_revision(store: Store, prefix: str, options: Options) -> None:
    wanted = _revision(options.since)
    if options.match and not options.since:
        raise errors.BadRequest(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
            "resourceVersion is provided"
        )
    if options.match not in ("", "Exact", "NotOlderThan"):
        raise errors.BadRequest(f'resourceVersionMatch: Unsupported value: "{options.match}"')
    if wanted > store.revision:
        raise _too_large(wanted, store.revision)
    exact = options.match == "Exact" or (options.limit and wanted and not options.match)
    if exact and _has_changed(store, prefix, wanted):
        raise _too_old(wanted)


def _check_initial(options: Options) -> None:
    if options.initial_events is None:
        if options.match:
            raise errors.BadRequest(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch "
                "unless sendInitialEvents is provided"
            )
    elif options.match != "NotOlderThan":
        raise errors.BadRequest(
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
            "resourceVersionMatch to NotOlderThan"
        )


def _revision(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise errors.BadRequest(f'resourceVersion: Invalid value: "{text}": must be a number')
    return int(text)


def _is_kept(store: Store, prefix: str, revision: int) -> bool:
    """Whether the history since `revision` is still there."""
    try:
        store.watch(prefix, revision).close()
    except Compacted:
        return False
    return True


def _has_changed(store: Store, prefix: str, revision: int) -> bool:
    try:
        watch = store.watch(prefix, revision)
    except Compacted:
        return True
    try:
        found: Record | None = watch.next(0)
        return found is not None
    finally:
        watch.close()


def _too_old(revision: int) -> errors.Expired:
    return errors.Expired(f"too old resource version: {revision}")


def _too_large(wanted: int, current: int) -> errors.Timeout:
    return errors.Timeout(
        f"Too large resource version: {wanted}, current: {current}",
        {
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
    )


class _ExpiredToken(errors.Expired):
    """Says how to go on: with what is there now."""

    def __init__(self, again: Continue) -> None:
        super().__init__(
            "The provided continue parameter is too old to display a consistent list result. "
            "You can start a new list without the continue parameter, or use the continue "
            "token in this response to retrieve the remainder of the results. Continuing with "
            "the provided token results in an inconsistent list - objects that were created, "
            "modified, or deleted between the time the first chunk was returned and now may "
            "show up in the list."
        )
        self._again = again

    def status(self) -> dict[str, object]:
        return super().status() | {"metadata": {"continue": self._again.text()}}


def _expired_token(again: Continue) -> errors.Expired:
    return _ExpiredToken(again)
