"""One run: a generator against a host, with what the host used meanwhile."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.host_process import HostFailed, own_environment
from benchmarks.load.hosts import LoadedHost
from benchmarks.load.workloads import Order
from benchmarks.machine import ROOT

Run = dict[str, Any]


def run_order(host: LoadedHost, order: Order) -> Run:
    """The generator's figures and the host's costs. Raises HostFailed when the generator fails."""
    cpu, written = host.cpu_seconds(), host.written_bytes()
    command = [sys.executable, "-m", "benchmarks.load.generator", json.dumps(asdict(order))]
    done = subprocess.run(command, cwd=ROOT, env=own_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostFailed(f"the generator of {order.workload} failed: {done.stderr.strip()[-800:]}")
    run: Run = json.loads(done.stdout)
    ended = max(1, run["answered"])
    return {
        **run,
        "start_p99_ms": run["start"]["p99"],
        "rate": order.rate,
        "cpu_ms_per_instance": (host.cpu_seconds() - cpu) * 1e3 / ended,
        "written_bytes_per_instance": (host.written_bytes() - written) / ended,
        "rss_mb": host.rss_mb(),
    }
