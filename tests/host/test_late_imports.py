"""A start pays for what the app uses: what few apps use is imported with its first use."""

import json
import subprocess
import sys

from support.host_process import checkout_environment

PROGRAM = """
import json, sys
import perdure.host.lifecycle
from perdure.sdks import prefer_ours
prefer_ours()
import azure.durable_functions as df
loaded = sorted(sys.modules)
assert df.DurableFunctionsClient.__name__ == "DurableFunctionsClient"
assert {"DurableFunctionsClient", "SyncDurableFunctionsClient"} <= set(dir(df))
from azure.durable_functions import *
assert issubclass(SyncDurableFunctionsClient, object)
print(json.dumps(loaded))
"""
LATE = {
    "azure.durable_functions.native_activity",
    "azure.durable_functions.native_payloads",
    "azure.durable_functions.sync_functions_client",
    "durabletask.client",
    "durabletask.context",
    "durabletask.states",
    "google.protobuf",
    "grpc",
    "httpx",
    "perdure.functions.manual_runs",
    "perdure.functions.timer_triggers",
    "perdure.functions.v1_loader",
    "perdure.host.admin_routes",
    "perdure.host.certificates",
    "perdure.host.cli_routes",
    "perdure.host.notifications",
    "perdure.host.rpc_endpoint",
    "perdure.http_api.openapi",
    "perdure.http_api.operations",
    "perdure.storage.memory.storage",
}


def test_what_few_apps_use_is_imported_late():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=checkout_environment(), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert LATE & set(json.loads(ended.stdout)) == set()
