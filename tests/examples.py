"""How many examples Hypothesis tries: few by default, ``FASTNN_EXAMPLES`` times as many where that is set."""

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("FASTNN_EXAMPLES", "1"))


def examples(count, **others):
    """Settings for a test of `count` examples; the same ones each time, unless more are asked for."""
    calm = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(
        max_examples=count * FACTOR,
        deadline=None,
        database=None,
        derandomize=FACTOR == 1,
        suppress_health_check=calm,
        **others,
    )
