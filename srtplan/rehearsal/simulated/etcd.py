"""Simulated ``etcd --listen-client-urls URL[,...]``: health, version and its own name by HTTP.

Workers and frontends only hold a connection (``_discovery.py``).
"""

from srtplan.rehearsal.simulation.flags import Flags
from srtplan.rehearsal.simulation.http import NOT_FOUND, OK, Json, Request, Response, serve, split
from srtplan.rehearsal.simulation.program import Program


def main(program: Program, flags: Flags) -> int:
    """Be an etcd of one member."""
    member: Json = {"ID": "1", "name": flags.text("name", default="default")}
    answers: dict[str, Json] = {
        "/health": {"health": "true", "reason": ""},
        "/version": {"etcdserver": "3.5.21", "etcdcluster": "3.5.0"},
        "/v3/cluster/member/list": {"header": {"cluster_id": "1"}, "members": [member]},
    }

    def answer(request: Request) -> Response:
        is_known = request.path in answers and program.is_ready
        return Response(answers.get(request.path, {}), OK if is_known else NOT_FOUND)

    program.load(["starting etcd (simulated)"])
    for traffic, default in (("client", 2379), ("peer", 2380)):
        urls = flags.text(f"listen-{traffic}-urls", default=f"http://localhost:{default}")
        for host, port, _ in map(split, urls.split(",")):
            serve(program, host, port, answer)
            program.say(f"serving {traffic} traffic on {host}:{port}")
    program.say("ready to serve client requests")
    program.serve()
