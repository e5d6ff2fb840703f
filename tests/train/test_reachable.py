"""A node counts while its raylet takes connections."""

from __future__ import annotations

import socket
import time

from ray_compt.train.reachable import answering


def test_only_what_takes_a_connection_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as living, socket.create_server(("127.0.0.1", 0)) as ended:
        ports = [server.getsockname()[1] for server in (living, ended)]
        ended.close()
        nodes = [
            {"Alive": alive, "NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port}
            for alive, port in ((True, ports[0]), (True, ports[1]), (False, ports[0]))
        ]
        assert answering(nodes) == nodes[:1]


def test_a_host_that_is_gone_holds_nobody_up() -> None:
    # Addresses of TEST-NET-1 (RFC 5737) belong to nobody: refused at once, or silent.
    gone = [
        {"Alive": True, "NodeManagerAddress": f"192.0.2.{host}", "NodeManagerPort": 1} for host in range(1, 9)
    ]
    began = time.monotonic()
    assert answering(gone, timeout_s=0.5) == []
    assert time.monotonic() - began < 3
