"""A world to try the program in, on loopback only: a Hub, a small Wan2GP-shaped tree, the show."""
