"""Stores: one module an application that keeps model files on this machine. All are only ever read."""
