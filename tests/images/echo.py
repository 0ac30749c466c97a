"""An HTTP server that says who answered whom: busybox httpd with one CGI program.

GET /cgi-bin/echo answers with lines `hostname=…`, `client=…`, `uri=…`, `method=…` and the
environment; GET / answers "ok". It listens on 8080; another port is the argument.
"""

from k3py.lab import busybox, images

NAME = "docker.io/library/httpecho:1"
PORT = 8080
CGI = """\
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "hostname=$(hostname)"
client=${REMOTE_ADDR#"[::ffff:"}
echo "client=${client%]}"
echo "uri=$REQUEST_URI"
echo "method=$REQUEST_METHOD"
env | sort
"""


def image() -> images.Image:
    files = images.Layer()
    files.file("www/index.html", "ok\n")
    files.file("www/cgi-bin/echo", CGI, 0o755)
    return images.build(
        [busybox.layer(), files.content()],
        {
            "Env": busybox.ENVIRONMENT,
            "Entrypoint": ["/bin/httpd", "-f", "-v", "-h", "/www", "-p"],
            "Cmd": [str(PORT)],
            "ExposedPorts": {f"{PORT}/tcp": {}},
        },
    )
