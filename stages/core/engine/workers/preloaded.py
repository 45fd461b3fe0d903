"""Imported last by the process that workers are forked from.

Its objects are then left out of every search for garbage, in the workers too: such a search writes
to each object that it visits, and so copies the memory that all workers were forked with.
"""

import gc

gc.collect()
gc.freeze()
