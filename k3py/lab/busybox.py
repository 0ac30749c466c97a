"""The image docker.io/library/busybox, made from this machine's own static busybox."""

from pathlib import Path

from k3py.base import commands
from k3py.lab import images

NAME = "docker.io/library/busybox:1.36"
PROGRAM = Path("/usr/bin/busybox")
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
USERS = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUPS = "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnobody:x:65534:\n"


def image() -> images.Image:
    return images.build([layer()], {"Env": ENVIRONMENT, "Cmd": ["sh"]})


def layer() -> bytes:
    """A root folder with busybox and all its names, to build other images on, too."""
    files = images.Layer()
    for name in ("bin", "dev", "etc", "home", "proc", "run", "sys", "usr/bin", "usr/sbin", "var"):
        files.folder(name)
    files.folder("root", 0o700)
    files.folder("tmp", 0o1777)
    files.file("etc/passwd", USERS)
    files.file("etc/group", GROUPS)
    files.file("bin/busybox", PROGRAM, 0o755)
    for applet in sorted(set(commands.run(str(PROGRAM), "--list").split()) - {"busybox"}):
        files.link(f"bin/{applet}", "busybox")
    return files.content()


def is_static(program: Path = PROGRAM) -> bool:
    """Whether the program needs no libraries: only then is it an image by itself."""
    with program.open("rb") as file:
        return b"ld-linux" not in file.read(8192)
