# SPDX-License-Identifier: MIT
"""The kill storm, short form. `make storm` is the long one."""
import random

from storm import SETTINGS, Storm


def test_a_storm_of_100_kills_loses_doubles_and_changes_nothing(service):
    seed = random.randrange(1 << 32)
    print(f"storm.py --kills 100 --seed {seed}")
    storm = Storm(service(log_level="info", **SETTINGS), kills=100, seed=seed)
    storm.run()
    print(storm.report())
