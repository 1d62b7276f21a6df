"""What a killed process leaves of customers' data goes with the next one."""

import signal
import subprocess
import sys
import tempfile

from propensity.scratch import scratch_directory

HOLDS_ONE = """
import time
from propensity.scratch import scratch_directory
with scratch_directory("propensity-test-") as made:
    (made / "people").write_text("anna")
    print(flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_goes_with_the_next_and_what_is_in_use_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", HOLDS_ONE], stdout=subprocess.PIPE)
    process.stdout.readline()
    (held,) = tmp_path.iterdir()
    assert held.stat().st_mode & 0o777 == 0o700
    with scratch_directory("propensity-test-"):
        assert (held / "people").read_text() == "anna"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert list(tmp_path.iterdir()) == [held]
    with scratch_directory("propensity-test-") as made:
        assert list(tmp_path.iterdir()) == [made]
    assert list(tmp_path.iterdir()) == []
