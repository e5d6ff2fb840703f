"""A signal whose exception somebody swallows is raised again."""

from __future__ import annotations

import os
import signal

import pytest

from ray_compt.train.signals import noted_signals


def test_a_swallowed_interrupt_is_raised_at_the_next_check() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noted_signals() as signals:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            signal.getsignal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
        with pytest.raises(KeyboardInterrupt):
            signals.check()
        signals.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_what_has_been_seen_is_not_raised_again() -> None:
    with noted_signals() as signals:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        signals.clear()
        signals.check()
