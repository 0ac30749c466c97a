"""A token says which server to trust, and lets its holder in for as long as it is valid."""

from datetime import UTC, datetime, timedelta

import pytest

from k3py.cluster import tokens
from k3py.testing.client import FakeClient

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HASH = "ab" * 32


@pytest.mark.parametrize(
    ("text", "ca_hash", "credential"),
    [
        (f"K10{HASH}::server:secret", HASH, "server:secret"),
        (f"K10{HASH}::abcdef.0123456789abcdef\n", HASH, "abcdef.0123456789abcdef"),
        ("secret", "", "server:secret"),
        ("abcdef.0123456789abcdef", "", "abcdef.0123456789abcdef"),
    ],
)
def test_a_token_is_taken_apart(text, ca_hash, credential):
    assert tokens.parse(text) == tokens.Token(ca_hash, credential)


@pytest.mark.parametrize("text", ["", "  ", "K10", "K10zz::server:x", f"K10{HASH}", f"K10{HASH}::"])
def test_half_a_token_is_refused(text):
    with pytest.raises(tokens.BadToken):
        tokens.parse(text)


def test_a_token_lets_in_until_it_expires():
    made = bootstrap()
    token = made.create(timedelta(hours=1), "for pi2", now=NOW)
    assert made.accepts(token.credential, now=NOW)
    assert not made.accepts(token.credential, now=NOW + timedelta(hours=1))
    assert token.ca_hash == HASH


def test_a_token_without_a_time_never_expires():
    made = bootstrap()
    token = made.create(None, "", now=NOW)
    assert made.accepts(token.credential, now=NOW + timedelta(days=10_000))


def test_a_forged_or_deleted_token_lets_nobody_in():
    made = bootstrap()
    token = made.create(None, "", now=NOW)
    identity, _, secret = token.credential.partition(".")
    assert not made.accepts(f"{identity}.{secret[::-1]}", now=NOW)
    assert not made.accepts("nosuch.0123456789abcdef", now=NOW)
    assert not made.accepts("server:x", now=NOW)
    made.delete(str(token))
    assert not made.accepts(token.credential, now=NOW)


def test_expired_tokens_are_removed():
    made = bootstrap()
    made.create(timedelta(hours=1), "", now=NOW)
    keeps = made.create(None, "", now=NOW)
    made.remove_expired(now=NOW + timedelta(hours=2))
    assert [found.id for found in made.all()] == [keeps.credential.partition(".")[0]]


def test_the_clusters_own_token_is_kept_and_not_contradicted(tmp_path):
    path = tmp_path / "token"
    password = tokens.server_password(path, "chosen")
    tokens.save_server_token(path, tmp_path / "node-token", tokens.Token(HASH, "server:chosen"))
    assert password == tokens.server_password(path) == tokens.server_password(path, "chosen")
    assert (tmp_path / "node-token").read_text() == f"K10{HASH}::server:chosen\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(tokens.BadToken, match="differs from the token this cluster was made with"):
        tokens.server_password(path, "another")


def bootstrap():
    return tokens.BootstrapTokens(FakeClient(), HASH)
