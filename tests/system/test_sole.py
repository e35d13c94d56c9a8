# SPDX-License-Identifier: MIT
"""No two processes are ever in the arena at once, however they end."""
import os
import random
import signal
import threading
import time

from service import BUILD, wait_until

BLOWS = 60


class Pounder(threading.Thread):
    """Asks, and adds up what it is told of meetings."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.wire = service.raw()
        self.ending = False
        self.meetings = self.answers = 0

    def run(self):
        while not self.ending:
            for meetings in self.wire.pipeline([("SOLE",)] * 20):
                self.meetings = max(self.meetings, meetings)
                self.answers += 1
        self.wire.close()


def strike(service, blow):
    """End the present business child in one of many ways."""
    victim = service.business_pid
    if blow == "restart":
        service.control("restart", "business", check=False)
    else:
        os.kill(victim, blow)
    wait_until(lambda: service.find_child("business") not in (None, victim),
               f"a successor after {blow}", every_s=0.001)


def test_no_two_processes_ever_run_requests_at_once(service):
    sole = service(refork_worker=str(BUILD / "workers" / "sole.so"),
                   business_heartbeat_timeout="500ms", restart_burst=1000)
    pounders = [Pounder(sole) for _ in range(3)]
    for pounder in pounders:
        pounder.start()
    blows = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT,
             "restart"] * (BLOWS // 4) + [signal.SIGSTOP] * 3
    random.shuffle(blows)
    for blow in blows:
        strike(sole, blow)
        time.sleep(random.uniform(0, 0.03))
    for pounder in pounders:
        pounder.ending = True
        pounder.join()
        assert pounder.meetings == 0 and pounder.answers > BLOWS
    assert "is here as well" not in sole.log()
