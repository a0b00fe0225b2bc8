from __future__ import annotations

import shutil
import subprocess

import pytest

from bench.generator import SOURCE


@pytest.mark.skipif(not shutil.which("go"), reason="the load generator is written in Go")
def test_the_load_generator_passes_its_own_tests() -> None:
    for words in (["go", "vet", "."], ["go", "test", "."]):
        done = subprocess.run(words, cwd=SOURCE, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
