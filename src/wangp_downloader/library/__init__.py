"""What is on this machine: stores, the hashes of their files, what stands at a target, and links.

``library.Library`` answers where wanted content is; ``link.place_link`` puts it where Wan2GP looks. Nothing
here speaks HTTP or knows Wan2GP's definitions; only ``link.py``, ``placing.py`` and ``undo.py`` change a
user's files.
"""
