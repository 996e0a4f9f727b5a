"""Compares the cost of a full pass with reading the same information over HTTP."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from .names import TOKEN
from .servers import ROOT, Account, Server
from .tables import Table, ms, slope, times

#: The numbers of kernels and of the apps in which they run.
SIZES = ((1, 1), (10, 10), (100, 100), (1000, 100))
REPEATS = 5

#: How often a pass or a round over HTTP is repeated, by the number of kernels, so that each
#: measurement takes at least some milliseconds.
ROUNDS = {1: 60, 10: 60, 100: 20, 1000: 4}

WHY_NOT = (
    "why not less: in a full pass every kernel gets its verdict anew, with a sentence for people "
    "(docs/decisions/020); a signal of one kernel does not cause a full pass (docs/decisions/028)"
)

#: Seconds between two polls: of this extension, and of the extension that reads over HTTP.
OURS, THEIRS = 60, 10


def config(account: Account) -> dict[str, dict[str, object]]:
    return {
        "ServerApp": {
            "kernel_manager_class": "bench.crowd.CrowdKernelManager",
            "jpserver_extensions": {"auto_shutdown": True, "bench.crowd": True},
        },
        "AutoShutdown": dict(account.identity),
    }


def environment(account: Account, kernels: int, apps: int) -> dict[str, str]:
    return {
        **account.environment,
        "BENCH_KERNELS": str(kernels),
        "BENCH_APPS": str(apps),
        "BENCH_DOMAIN": account.domain_id,
        "BENCH_OWNER": account.identity["user_profile_name"],
    }


def one_round_over_http(server: Server, rounds: int) -> tuple[float, float]:
    """Processor time of one round, of the server and of the client."""
    before = server.get("bench/cpu")["cpu"]
    argv = [sys.executable, "-m", "bench.poller", server.url, TOKEN, str(rounds)]
    client = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    spent = server.get("bench/cpu")["cpu"] - before
    return spent / rounds, float(client.stdout)


def measure(root: Path) -> Table:
    table = Table(
        "A pass, against reading the same over HTTP",
        "Processor time of one look at everything when nothing is due: a full pass of this "
        "extension, and the four GET requests (sessions, kernels, terminals, apps) of tools that "
        "poll, server and client. A pass after one kernel began or ended a cell reads that kernel "
        f"alone. An hour is one full pass every {OURS} s, against one round every {THEIRS} s. All "
        "in one server process, alternating; medians.",
        (
            "kernels, apps",
            "a full pass",
            "of it Jupyter's lists",
            "a pass after one kernel changed",
            "over HTTP",
            "of it client",
            "ratio",
            "ratio an hour",
        ),
    )
    points, bare = [], []
    for kernels, apps in SIZES:
        with (
            Account(apps) as account,
            Server(
                root / f"passes-{kernels}", config(account), environment(account, kernels, apps)
            ) as server,
        ):
            rounds = ROUNDS[kernels]
            seen = server.settled().get("bench/passes?count=2")["resources"]
            assert seen == kernels + apps, f"{seen} seen of {kernels} kernels and {apps} apps"
            ours, listings, partial, servers, clients = [], [], [], [], []
            for _ in range(REPEATS):
                result = server.get(f"bench/passes?count={rounds}")
                ours.append(result["cpu"])
                listings.append(result["listing"])
                partial.append(result["changed"])
                of_server, of_client = one_round_over_http(server, rounds)
                servers.append(of_server)
                clients.append(of_client)
        own = statistics.median(ours)
        client = statistics.median(clients)
        other = statistics.median(servers) + client
        points.append((float(kernels), own))
        bare.append((float(kernels), statistics.median(listings)))
        table.rows.append(
            (
                f"{kernels}, {apps}",
                ms(own),
                ms(statistics.median(listings)),
                ms(statistics.median(partial)),
                ms(other),
                ms(client),
                times(other, own),
                times(other * OURS / THEIRS, own),
            )
        )
    base, each = slope(points)
    table.judge("a pass without kernels", base * 1000, 0.5, "ms")
    lists = slope(bare)[1]
    table.judge("each kernel more, beside Jupyter's own lists", (each - lists) * 1e6, 10, "us")
    table.verdicts.append(f"Jupyter's own lists: {lists * 1e6:.3g} us a kernel")
    last = f"a pass after one of {SIZES[-1][0]:,} kernels changed"
    table.judge(last, statistics.median(partial) * 1000, 1, "ms")
    table.verdicts.append(WHY_NOT)
    return table
