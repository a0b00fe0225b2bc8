"""Serve the gateway that TensorZero's wheel embeds; runs in TensorZero's own environment.

It takes a free port and has no setting for another, so its URL is written to a file.
"""

import signal
import sys
from pathlib import Path

import tensorzero

gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1],
    clickhouse_url=None,
    postgres_url=None,
    valkey_url=None,
    async_setup=False,
)
Path(sys.argv[2]).write_text(gateway.base_url)
signal.pause()
