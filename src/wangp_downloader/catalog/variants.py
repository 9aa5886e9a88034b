"""Which of several variants Wan2GP's settings pick. Pure.

Source: ``get_model_filename`` of Wan2GP's ``wgp.py``, through its history (see ``tree.Era``).
"""

from __future__ import annotations

from collections.abc import Sequence

from wangp_downloader.catalog.tree import Era
from wangp_downloader.paths import url_basename

_PREFERENCES = {"int8": ("int8", "fp8"), "fp8": ("fp8", "int8")}


def choose(urls: Sequence[str], quantization: str, dtype: str, era: Era = Era.ORDERED) -> str | None:
    """Return the variant that Wan2GP would open.

    Args:
        urls: The variants in the definition's order.
        quantization: The setting: ``int8``, ``fp8``, ``bf16``, empty, or anything else.
        dtype: ``bf16`` or ``fp16``.
        era: The rule of the user's tree.

    Returns:
        One of ``urls``, or None if there are none.
    """
    if not urls:
        return None
    if len(urls) == 1:
        return urls[0]
    preferred = _preferred(urls, quantization or "bf16", era)
    of_dtype = [url for url in preferred if _names_dtype(url, dtype)]
    return (of_dtype or preferred or urls)[0]


def _preferred(urls: Sequence[str], quantization: str, era: Era) -> list[str]:
    if era is Era.ORDERED:
        tokens = _PREFERENCES.get(quantization, ())
        return [url for token in tokens for url in urls if token in url_basename(url).lower()]
    if era is Era.TOKENS:
        tokens = _PREFERENCES["int8"] if quantization == "int8" else ()
        return [url for url in urls if any(token in url_basename(url).lower() for token in tokens)]
    if quantization in _PREFERENCES:
        spellings = (quantization, quantization.upper())
        return [url for url in urls if any(text in url_basename(url) for text in spellings)]
    return [url for url in urls if "quanto" not in url_basename(url)]


def _names_dtype(url: str, dtype: str) -> bool:
    name = url_basename(url)
    return dtype in name or dtype.upper() in name


def dtype_after(transformer: str, dtype: str) -> str:
    """Return the data type that modules follow once the transformer is chosen.

    A quantized transformer brings its own: the one in its name (``load_models`` of ``wgp.py``).

    Args:
        transformer: The chosen transformer's URL.
        dtype: The data type by settings.
    """
    if "quanto" not in transformer:
        return dtype
    for candidate in ("fp16", "bf16"):
        if candidate in transformer or candidate.upper() in transformer:
            return candidate
    return dtype
