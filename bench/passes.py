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

WHY_NOT_LESS = (
    "why a full pass takes this long: it decides on every kernel again and writes a sentence for "
    "people (docs/decisions/020). After a change of one kernel, only that kernel is read "
    "(docs/decisions/028)"
)

#: Seconds between two full passes of this extension, and between two rounds of a tool that reads
#: over HTTP.
PASS_INTERVAL, ROUND_INTERVAL = 60, 10


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
        "A pass, compared with reading the same over HTTP",
        "Processor time to read everything once while nothing is due. A full pass of this "
        "extension is compared with a round of four GET requests (sessions, kernels, terminals, "
        "apps), server and client together, as tools that poll send them. The partial pass reads "
        "the one kernel that began or ended a cell. Jupyter's own culler "
        "(MappingKernelManager.cull_idle_timeout) compares one time stamp of each kernel, and sees "
        "neither apps nor terminals. The ratio for an hour assumes a full pass "
        f"every {PASS_INTERVAL} s and a round every {ROUND_INTERVAL} s. The times are "
        "medians; passes and rounds alternate in one server process.",
        (
            "kernels, apps",
            "full pass",
            "of which Jupyter's lists",
            "partial pass, one kernel",
            "a round of Jupyter's culler",
            "round over HTTP",
            "of which client",
            "ratio",
            "ratio for an hour",
        ),
    )
    points, lists = [], []
    for kernels, apps in SIZES:
        with (
            Account(apps) as account,
            Server(
                root / f"passes-{kernels}", config(account), environment(account, kernels, apps)
            ) as server,
        ):
            rounds = ROUNDS[kernels]
            observed = server.settled(apps).get("bench/passes?count=2")["resources"]
            assert observed == kernels + apps, (
                f"{observed} observed of {kernels} kernels and {apps} apps"
            )
            full, listings, partial, cullers, servers, clients = [], [], [], [], [], []
            for _ in range(REPEATS):
                result = server.get(f"bench/passes?count={rounds}")
                full.append(result["cpu"])
                listings.append(result["listing"])
                partial.append(result["changed"])
                cullers.append(result["culling"])
                of_server, of_client = one_round_over_http(server, rounds)
                servers.append(of_server)
                clients.append(of_client)
        full_pass = statistics.median(full)
        client = statistics.median(clients)
        over_http = statistics.median(servers) + client
        points.append((float(kernels), full_pass))
        lists.append((float(kernels), statistics.median(listings)))
        table.rows.append(
            (
                f"{kernels}, {apps}",
                ms(full_pass),
                ms(statistics.median(listings)),
                ms(statistics.median(partial)),
                ms(statistics.median(cullers)),
                ms(over_http),
                ms(client),
                times(over_http, full_pass),
                times(over_http * PASS_INTERVAL / ROUND_INTERVAL, full_pass),
            )
        )
    base, per_kernel = slope(points)
    table.judge("time of a full pass without kernels", base * 1000, 0.5, "ms")
    listing = slope(lists)[1]
    of_extension = (per_kernel - listing) * 1e6
    table.judge("time of each further kernel, without Jupyter's lists", of_extension, 10, "us")
    table.verdicts.append(f"Jupyter's own lists take {listing * 1e6:.3g} us for each kernel")
    last = f"time of a partial pass over one of {SIZES[-1][0]:,} kernels"
    table.judge(last, statistics.median(partial) * 1000, 1, "ms")
    table.verdicts.append(WHY_NOT_LESS)
    return table
