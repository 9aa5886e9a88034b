"""WanGP Smart Model Downloader: know what Wan2GP needs, link what is here, fetch the rest."""

__version__ = "0.1.0"
