# SPDX-License-Identifier: MIT
"""The seed of what a test makes up: the same in each run, so that a failure
comes again. REFORK_SEED=N takes another one, REFORK_SEED=random a new one."""
import os
import random


def seed():
    """Printed, so that a failure tells it."""
    text = os.environ.get("REFORK_SEED", "1")
    number = random.randrange(1 << 32) if text == "random" else int(text)
    print(f"seed {number}")
    return number
