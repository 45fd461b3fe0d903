"""Values of table columns, each spelled once."""

from __future__ import annotations

LANGUAGE, PROPAGATED, EMPTY, PROMPTED = ROUTES = ("language", "propagated", "empty", "prompted")
"""Column `route` of the propagation table: guided by the sentence, read from memory, no target,
prompted by hand."""

ANNOTATED, PREDICTED, VISIBILITY, UNION = ("annotated", "predicted", "visibility", "union")
"""Column `source` of the moments table, where no model is named."""

TODO, DONE = STATUSES = ("todo", "done")
"""Column `status` of the annotations table."""

DRAWN = "drawn"
"""In column `sources` of the annotations table: marked by the annotator. A lane that was accepted
has its name there, and `, edited` after it if the annotator changed it."""
