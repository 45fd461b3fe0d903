"""Values of table columns, each spelled once."""

from __future__ import annotations

BEST_FRAME = "best frame"
"""No moment was predicted, and the most relevant frame stands in for one: in column `route` of the
propagation table that frame, in column `source` of the moments table its span."""

LANGUAGE, PROPAGATED, EMPTY, PROMPTED, _ = ROUTES = (
    *("language", "propagated", "empty", "prompted"),
    BEST_FRAME,
)
"""Column `route` of the propagation table: guided by the sentence, read from memory, no target,
prompted by hand, and the best frame."""

GUIDED = (LANGUAGE, BEST_FRAME)
"""Routes of frames on the language path."""

ANNOTATED, PREDICTED, VISIBILITY, UNION = ("annotated", "predicted", "visibility", "union")
"""Column `source` of the moments table, where no model is named."""

TODO, DONE = STATUSES = ("todo", "done")
"""Column `status` of the annotations table."""

DRAWN = "drawn"
"""In column `sources` of the annotations table: marked by the annotator. A lane that was accepted
has its name there, and `, edited` after it if the annotator changed it."""
