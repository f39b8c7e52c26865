"""Where a metric is going: the newer half of its values against the older half.

The rule: of the values in their order, the median of the newer half is compared with the median of
the older half; with an odd number, the one in the middle belongs to neither. A median, so that one
bad run among many is no trend. The difference counts where it is larger than the metric's
tolerance: half a percentage point for rates, a twentieth of the older median for durations. With
fewer than two values there is nothing to compare.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final, Literal

from policy.quality_gates import METRICS

__all__ = ["POINTS", "SHARE", "Direction", "direction"]

Direction = Literal["improving", "steady", "worsening", "unknown"]

POINTS: Final = 0.5
"""Percentage points by which a rate may move and still be steady."""

SHARE: Final = 0.05
"""The share of its older median by which a duration may move and still be steady."""


def direction(metric: str, values: Sequence[float | None]) -> Direction:
    """Return where a metric is going; `unknown` with fewer than two values.

    Args:
        metric: A key of `METRICS`.
        values: Oldest first; None: nothing was measured, and it does not count.
    """
    known = [value for value in values if value is not None]
    half = len(known) // 2
    if half == 0:
        return "unknown"
    before, after = median(known[:half]), median(known[-half:])
    about = METRICS[metric]
    tolerance = POINTS if about.unit == "%" else SHARE * before
    if abs(after - before) <= tolerance:
        return "steady"
    return "improving" if (after > before) is about.higher_is_better else "worsening"
