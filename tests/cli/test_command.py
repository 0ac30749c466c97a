"""`k3py kubectl` hands its arguments on as they are."""

import sys

from k3py.base import commands

ARGUMENTS = ["-n", "home", "exec", "web", "--", "sh", "-c", "exit 9", "--help", "--"]


def test_the_real_kubectl_gets_its_arguments_as_they_were_given(tmp_path):
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    said = commands.run(
        *(sys.executable, "-m", "k3py", "kubectl", *ARGUMENTS),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert said.splitlines() == ARGUMENTS
