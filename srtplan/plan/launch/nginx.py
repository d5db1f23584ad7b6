"""nginx in front of several frontends: one public port, balanced round-robin or by a session header, unbuffered.

The configuration is a file of the bundle with references to the addresses of the frontends; job.sh writes it to
``LOG_DIR/nginx.conf`` once they are known. Temporary files and the pid file are in a node-local directory of the job.
"""

from __future__ import annotations

from srtplan.ir.plan import PlanFile, StandIn
from srtplan.ir.shell import JOB_ID, LOG_DIR, Word, ip, word, words
from srtplan.plugin import Command, JobContext

STEP = "nginx"
LIMIT = 1048576
SCRATCH = word("/tmp/srtplan-", JOB_ID, "-nginx")  # noqa: S108 -- a private directory named after the job


def command(job: JobContext) -> Command:
    """The command of the nginx step, and its configuration."""
    raised = job.recipe.frontend.nginx_raise_ulimit
    preamble = [words("setup::scratch", SCRATCH)]
    if raised:
        preamble.append(words("setup::open_files", LIMIT))
    return Command(
        argv=words("nginx", "-e", "stderr", "-c", word(LOG_DIR, "/nginx.conf")),
        files=(PlanFile(path="nginx.conf", content=_config(job), run_time=True),),
        preamble=tuple(preamble),
        stand_in=StandIn(behavior="nginx"),
        listens=(job.public_port,),
        note=f"nginx for {len(job.frontends)} frontends",
    )


def _config(job: JobContext) -> Word:
    f = job.recipe.frontend
    sticky = f.nginx_session_affinity
    header = f.nginx_session_affinity_header.lower().replace("-", "_")
    out: list[str | Word] = ["daemon off;\npid ", SCRATCH, "/nginx.pid;\nworker_processes auto;\n"]
    if f.nginx_raise_ulimit:
        out.append(f"worker_rlimit_nofile {LIMIT};\n")
    out.append("events {\n  worker_connections 65535;\n  multi_accept on;\n  use epoll;\n}\nhttp {\n")
    out += ["  access_log off;\n  error_log stderr warn;\n  client_max_body_size 0;\n"]
    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        out += [f"  {name}_temp_path ", SCRATCH, f"/{name};\n"]
    if sticky:
        out.append(
            f'  map $http_{header} $session_key {{\n    "" $request_id;\n    default $http_{header};\n  }}\n'
        )
    out.append("  upstream frontends {\n")
    out += ["    hash $session_key consistent;\n"] if sticky else []
    for node, port in job.frontends:
        out += ["    server ", ip(node), f":{port} max_fails=0;\n"]
    out.append("    keepalive 512;\n  }\n  server {\n")
    out.append(
        f"    listen {job.public_port} backlog=65535;\n    keepalive_timeout {f.nginx_keepalive_timeout};\n"
    )
    out.append("    location / {\n      proxy_pass http://frontends;\n      proxy_http_version 1.1;\n")
    out.append('      proxy_set_header Connection "";\n      proxy_set_header Host $host;\n')
    out.append(
        "      proxy_buffering off;\n      proxy_read_timeout 24h;\n      proxy_send_timeout 24h;\n    }\n  }\n}\n"
    )
    return word(*out)
