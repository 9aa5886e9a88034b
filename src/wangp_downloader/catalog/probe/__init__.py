"""Asking Wan2GP's own handlers, in a separate process, what only its Python knows.

``api.read_handlers`` asks, or takes the last answer if nothing it depends on has changed;
``api.cached_handlers`` only looks; ``result`` holds what they return. ``docs/probe.md`` describes how the
separate process is fenced in, and what is kept on the disk.
"""
