"""Waiting for what a test wants to see, instead of for a time: the deadline is for a machine that has much else to do."""

import time


def until(condition, timeout=60, told=lambda: "it never came to that", every=0.1):
    """What condition gives once that is true; told: the words of the failure, asked for at the end only."""
    end = time.monotonic() + timeout
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < end, told()
        time.sleep(every)
