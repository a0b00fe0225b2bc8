"""The plain way to learn which requests need the frontier, where scikit-learn is installed.

TF-IDF of words and pairs that stand in two prompts at least, sublinear; logistic regression on
"the frontier was better". No sidecar could run it in time: it is what there is to beat.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from overspill.learning.likeness import folds
from overspill.learning.measures import apgr, recovered
from overspill.learning.trial import FOLDS

if TYPE_CHECKING:
    from overspill.learning.examples import Examples


def apgrs(examples: Examples, seeds: int) -> list[float]:
    """Return its APGR on the same folds as ours, one a seed; none without scikit-learn."""
    if find_spec("sklearn") is None:
        return []
    found = [recovered(_scores(examples, seed), examples.gains) for seed in range(seeds)]
    return [apgr(curve) for curve in found if curve is not None]


def _scores(examples: Examples, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - not a dependency
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    scores = np.zeros(len(examples))
    for seen, tested in folds(examples.prompts, FOLDS, seed):
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        rows = words.fit_transform([examples.prompts[row] for row in seen])
        model = LogisticRegression(max_iter=300).fit(rows, examples.gains[seen] > 0)
        scores[tested] = model.decision_function(
            words.transform([examples.prompts[row] for row in tested])
        )
    return scores
