"""Values of table columns, each spelled once."""

from __future__ import annotations

LANGUAGE, PROPAGATED, EMPTY = ROUTES = ("language", "propagated", "empty")
"""Column `route` of the propagation table: guided by the sentence, read from memory, no target."""

ANNOTATED, PREDICTED, VISIBILITY, UNION = ("annotated", "predicted", "visibility", "union")
"""Column `source` of the moments table, where no model is named."""
