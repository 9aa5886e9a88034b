"""Screens: they compose widgets and turn keys into calls of the session."""
