"""Writes intervals.json: Wilson intervals and exact McNemar p-values as scipy computes them.

pip install scipy==1.17.1 && python make-intervals.py
"""

import json
from pathlib import Path

from scipy.stats import binomtest

SHARES = [(0, 1), (1, 1), (0, 50), (50, 50), (1, 20), (10, 100), (3, 10), (476, 1000), (999, 1000), (12345, 100000)]
FLIPS = [(0, 0), (0, 6), (1, 0), (3, 3), (5, 15), (15, 5), (2, 11), (153, 419), (476, 147), (700, 900), (2000, 2100)]


def wilson(count, n):
    interval = binomtest(count, n).proportion_ci(confidence_level=0.95, method="wilson")
    return {"count": count, "n": n, "low": interval.low, "high": interval.high}


def mcnemar(old, new):
    p = 1.0 if old + new == 0 else binomtest(min(old, new), old + new, 0.5).pvalue
    return {"onlyOldRight": old, "onlyNewRight": new, "p": p}


golden = {"wilson": [wilson(*pair) for pair in SHARES], "mcnemar": [mcnemar(*pair) for pair in FLIPS]}
Path(__file__).with_name("intervals.json").write_text(json.dumps(golden, indent=2) + "\n")
