"""The track head: which object track a sentence means, and when."""
