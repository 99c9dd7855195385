"""Writes intervals.json: Wilson intervals, McNemar p-values, Holm, normal quantiles and confidence sequences by scipy and statsmodels.

pip install scipy==1.17.1 statsmodels==0.15.0 && python make-intervals.py
"""

import json
from pathlib import Path

import numpy as np

from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy
from scipy.stats import binom, binomtest, norm
from statsmodels.stats.multitest import multipletests

SHARES = [(0, 1), (1, 1), (0, 50), (50, 50), (1, 20), (10, 100), (3, 10), (476, 1000), (999, 1000), (12345, 100000)]
FLIPS = [(0, 0), (0, 6), (1, 0), (3, 3), (5, 15), (15, 5), (2, 11), (153, 419), (476, 147), (700, 900), (2000, 2100)]


def wilson(count, n):
    interval = binomtest(count, n).proportion_ci(confidence_level=0.95, method="wilson")
    return {"count": count, "n": n, "low": interval.low, "high": interval.high}


def mcnemar(old, new):
    p = 1.0 if old + new == 0 else binomtest(min(old, new), old + new, 0.5).pvalue
    # Fagerland and others 2013: the exact p-value less the probability of what was seen.
    mid = 1.0 if old == new else p - binom.pmf(old, old + new, 0.5)
    return {"onlyOldRight": old, "onlyNewRight": new, "p": p, "midP": mid}


def adjusted(raw):
    return {"raw": raw, "adjusted": list(multipletests(raw, method="holm")[1])}


def sequence(events, trials, level):
    """Rates against which a uniform mixture of likelihood ratios stays below 1 / level."""

    def log_wealth(rate):
        log_likelihood = xlogy(events, rate) + xlog1py(trials - events, -rate)
        return betaln(events + 1, trials - events + 1) - log_likelihood + float(np.log(level))

    centre = events / trials
    low = 0.0 if events == 0 else brentq(log_wealth, 1e-300, centre, xtol=1e-14)
    high = 1.0 if events == trials else brentq(log_wealth, centre, 1 - 1e-16, xtol=1e-14)
    return {"events": events, "trials": trials, "level": level, "low": low, "high": high}


P_VALUES = [[0.01, 0.04, 0.03], [0.5], [0.001, 0.001, 0.9, 0.2], [0.02, 0.02, 0.02, 0.02, 0.6], [0.0, 1.0]]
QUANTILES = [1e-300, 1e-20, 1e-6, 0.025, 0.07, 0.3, 0.5, 0.8, 0.925, 0.975, 0.999999]
COUNTS = [(0, 10, 0.05), (10, 10, 0.05), (3, 40, 0.05), (12, 1000, 0.01), (500, 1000, 0.1), (7, 100000, 0.05)]

golden = {
    "wilson": [wilson(*pair) for pair in SHARES],
    "mcnemar": [mcnemar(*pair) for pair in FLIPS],
    "holm": [adjusted(raw) for raw in P_VALUES],
    "normal": [{"p": p, "z": float(norm.ppf(p))} for p in QUANTILES],
    "sequence": [sequence(*counts) for counts in COUNTS],
}
Path(__file__).with_name("intervals.json").write_text(json.dumps(golden, indent=2) + "\n")
