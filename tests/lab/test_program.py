"""Which folders a node must be shown to run this k3py."""

from pathlib import Path

from k3py.base import commands
from k3py.lab import program


def test_folders_under_usr_and_inside_others_are_left_out():
    folders = [
        Path("/usr/lib/x"),
        Path("/srv/a/b"),
        Path("/srv/a"),
        Path("/usrlocal"),
        Path("/usr"),
    ]
    assert program._outside_usr(folders) == (Path("/srv/a"), Path("/usrlocal"))


def test_the_script_is_the_command(tmp_path):
    it = program.Program(("/bin/echo", "it's"), (), (("A", "b c"),))
    (tmp_path / "k3py").write_text(it.script())
    assert commands.run("sh", str(tmp_path / "k3py"), "x y") == "it's x y\n"


def test_the_running_program_runs_elsewhere(tmp_path):
    (tmp_path / "k3py").write_text(program.running().script())
    assert "version v" in commands.run("sh", str(tmp_path / "k3py"), "--version")
