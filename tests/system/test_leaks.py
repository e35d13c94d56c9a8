# SPDX-License-Identifier: MIT
"""Crashes leave nothing behind, short form. `make leaks` is the long one."""
import random

from leaks import SETTINGS, Crashes


def test_after_150_crashes_the_service_occupies_what_it_did_after_10(service):
    seed = random.randrange(1 << 32)
    print(f"leaks.py --crashes 150 --seed {seed}")
    Crashes(service(log_level="info", **SETTINGS), seed).run(150)
