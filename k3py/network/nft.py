"""nftables, written the way its manual writes it.

A `Table` renders to a script that replaces the whole table in one transaction: nothing to
diff and no old rule to forget. For tables that are large and change a little at a time,
`changes` is the script that turns one version of a table into another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from k3py.base import commands
from k3py.base.log import Log

log = Log("k3py.network")


class Chain(NamedTuple):
    """Rules, and for a base chain the hook: "nat hook output priority -110"."""

    rules: tuple[str, ...]
    hook: str = ""


@dataclass
class Table:
    """One table of family ip. What is declared first is rendered first."""

    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    maps: dict[str, str] = field(default_factory=dict)  # name → declaration
    elements: dict[str, dict[str, str]] = field(default_factory=dict)  # map → key → value

    def chain(self, name: str, *rules: str, hook: str = "") -> None:
        self.chains[name] = Chain(rules, hook)

    def map(self, name: str, declaration: str, elements: Mapping[str, str] | None = None) -> None:
        """`declaration`: "type ipv4_addr : verdict;"."""
        self.maps[name] = f"map {name} {{ {declaration} }}"
        self.elements[name] = dict(elements or {})

    def set(self, name: str, declaration: str, elements: Mapping[str, str] | None = None) -> None:
        """A set: a map whose values are empty."""
        self.maps[name] = f"set {name} {{ {declaration} }}"
        self.elements[name] = dict(elements or {})

    def script(self) -> str:
        """Replaces the table, whatever it was."""
        head = f"table ip {self.name}"
        return "\n".join((head, f"delete {head}", f"{head} {{", *self._body(), "}", ""))

    def _body(self) -> Iterator[str]:
        for name, declaration in self.maps.items():
            yield _with_elements(declaration, self.elements[name])
        for name, chain in self.chains.items():
            yield f"  chain {name} {{"
            if chain.hook:
                yield f"    type {chain.hook};"
            yield from (f"    {rule}" for rule in chain.rules)
            yield "  }"


def changes(old: Table, new: Table) -> str:
    """The script from `old` to `new`; empty when they are equal.

    Chains and maps that are no longer there are emptied, not deleted: until some time after
    the transaction, kernels before 6.2 count a removed map element as a user of its chain.
    `leftovers` deletes them later.
    """
    table = f"ip {new.name}"
    added = new.maps.keys() - old.maps.keys()
    lines = [f"add {_declared(new.maps[name], table)}" for name in new.maps if name in added]
    lines += [f"add chain {table} {name}" for name in new.chains if name not in old.chains]
    for name, chain in new.chains.items():
        if chain != old.chains.get(name):
            lines += [f"flush chain {table} {name}"] * (name in old.chains)
            lines += [f"add rule {table} {name} {rule}" for rule in chain.rules]
    lines += _element_changes(old, new, table)
    lines += [f"flush chain {table} {name}" for name in old.chains if name not in new.chains]
    return "".join(f"{line}\n" for line in lines)


def leftovers(old: Table, new: Table) -> tuple[set[str], set[str]]:
    """The chains and the maps that `changes` left behind, empty."""
    return old.chains.keys() - new.chains.keys(), old.maps.keys() - new.maps.keys()


def deletions(table: str, chains: set[str], maps: set[str]) -> str:
    lines = [f"delete chain ip {table} {name}" for name in sorted(chains)]
    lines += [f"delete set ip {table} {name}" for name in sorted(maps)]
    return "".join(f"{line}\n" for line in lines)


def run(script: str) -> None:
    """Apply a script: all of it or, raising CommandFailed, nothing."""
    if script:
        commands.run("nft", "-f", "-", stdin=script)


def exists(table: str) -> bool:
    return f"table ip {table}\n" in commands.run("nft", "list", "tables")


def remove(table: str) -> None:
    """Delete a table, if it is there."""
    run(f"table ip {table}\ndelete table ip {table}\n")


def _element_changes(old: Table, new: Table, table: str) -> Iterator[str]:
    """Deletions come first: a key whose value changed is one of them."""
    gone, come = [], []
    for name, elements in new.elements.items():
        before = old.elements.get(name, {})
        stale = {k: v for k, v in before.items() if elements.get(k) != v}
        fresh = {k: v for k, v in elements.items() if before.get(k) != v}
        gone += [f"delete element {table} {name} {{ {_joined(stale)} }}"] * bool(stale)
        come += [f"add element {table} {name} {{ {_joined(fresh)} }}"] * bool(fresh)
    yield from gone
    yield from come


def _with_elements(declaration: str, elements: Mapping[str, str]) -> str:
    if not elements:
        return f"  {declaration}"
    lines = _joined(elements, between=",\n      ")
    return f"  {declaration[:-2]}\n    elements = {{\n      {lines}\n    }}\n  }}"


def _declared(declaration: str, table: str) -> str:
    what, name, rest = declaration.split(" ", 2)
    return f"{what} {table} {name} {rest}"


def _joined(elements: Mapping[str, str], between: str = ", ") -> str:
    return between.join(f"{key} : {value}" if value else key for key, value in elements.items())
