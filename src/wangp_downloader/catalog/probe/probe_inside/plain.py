"""From what handlers return to plain JSON values. Pure.

A value that is not plain (a function, a stand-in, an object) is refused rather than guessed at.
"""

from __future__ import annotations

from typing import Any

MARK = "\x00stand-in\x00"
"""What a stand-in turns into inside a string, so that no such string is ever taken for an answer."""

FILE_KEYS = frozenset(
    [
        *("URLs", "URLs2", "preload_URLs", "VAE_URLs", "loras", "modules", "source", "source2"),
        *("module_source", "module_source2", "text_encoder_URLs", "text_encoder_folder", "dtype"),
        *("configs", "system_configs", "system_configs2", "system_configs3", "architecture"),
        *("profiles_dir", "preset_profiles_dir"),
    ]
)
"""Keys of a definition that decide which files are opened: dropping one silently would hide files."""


class NotPlainError(Exception):
    """A value that has no JSON form, or that came from a stand-in."""


def plain(value: Any) -> Any:
    """Return ``value`` with tuples and sets as lists.

    Raises:
        NotPlainError: It, or something in it, is no JSON value.
    """
    if isinstance(value, str):
        if MARK in value:
            raise NotPlainError("it was made from a package that is not installed here")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise NotPlainError("it is no valid text")
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    raise NotPlainError(f"it holds a {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(plain(key))
    if isinstance(key, (int, float)):
        return str(key)
    raise NotPlainError(f"it has a key of type {type(key).__name__}")


def plain_definition(definition: Any) -> dict[str, Any]:
    """Return the keys of a definition that have a JSON form.

    Raises:
        NotPlainError: ``definition`` is no mapping, or a key that decides about files is not plain.
    """
    if not isinstance(definition, dict):
        raise NotPlainError(f"a definition was expected, not a {type(definition).__name__}")
    kept: dict[str, Any] = {}
    for key, value in definition.items():
        if isinstance(key, str) and (key.endswith("infos") or "_instructions" in key):
            continue  # long texts for Wan2GP's own forms: half of all that handlers say
        try:
            kept[_key(key)] = plain(value)
        except NotPlainError as error:
            if key in FILE_KEYS:
                raise NotPlainError(f"{key!r} can not be read: {error}") from error
    return kept


def files_defs(answer: Any) -> list[dict[str, Any]]:
    """Return what ``query_model_files`` answered as one entry a source folder.

    The lists are paired as Wan2GP's ``process_files_def`` pairs them: the shortest decides.

    Raises:
        NotPlainError: It has another shape.
    """
    entries = answer if isinstance(answer, list) else [answer]
    return [one for entry in entries for one in _files_def(entry)]


def _files_def(entry: Any) -> list[dict[str, Any]]:
    if not isinstance(entry, dict):
        raise NotPlainError(f"a list of files was expected, not a {type(entry).__name__}")
    repo = entry.get("repoId")
    folders, lists = entry.get("sourceFolderList"), entry.get("fileList")
    if not isinstance(repo, str) or not isinstance(folders, (list, tuple)):
        raise NotPlainError("a list of files has no repo or no folders")
    if not isinstance(lists, (list, tuple)):
        raise NotPlainError("a list of files has no names")
    targets = entry.get("targetFolderList")
    if targets is None:
        targets = [None] * len(folders)
    rows = zip(targets, folders, lists)  # noqa: B905 - the shortest decides, as in Wan2GP
    found = [_row(repo, folder, names, target) for target, folder, names in rows]
    # No folder and no names: Wan2GP looks whether the checkpoint folder itself is there and fetches nothing.
    return [row for row in found if row["files"] or row["source_folder"]]


def _row(repo: str, folder: Any, names: Any, target: Any) -> dict[str, Any]:
    if not isinstance(folder, str) or not isinstance(names, (list, tuple)):
        raise NotPlainError(f"the files of {repo} have another shape than expected")
    if not all(isinstance(name, str) for name in names) or not isinstance(target, (str, type(None))):
        raise NotPlainError(f"the files of {repo} have names that are no text")
    row = {"repo": repo, "source_folder": folder, "files": list(names), "target_folder": target or ""}
    plain(row)
    return row
