"""What runs in the separate process, together with Wan2GP's handlers.

Standard library only and Python 3.10 or newer, because the user's own Python may run it; nothing here
imports the rest of the program. Started by ``child.py`` beside this folder.
"""
