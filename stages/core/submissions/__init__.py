"""Submissions: the masks that an evaluation server expects, and checks of a zip of them."""
