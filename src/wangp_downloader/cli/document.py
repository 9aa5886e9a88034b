"""The JSON documents of ``plan``, ``download`` and ``link``: a contract, documented in ``docs/json.md``. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wangp_downloader.files import Action, DigestKind, FileResult, Plan, PlannedFile, RemoteFile
from wangp_downloader.paths import redact_url

if TYPE_CHECKING:
    from wangp_downloader.catalog.catalog import Catalog


def plan_document(catalog: Catalog, plan: Plan) -> dict[str, Any]:
    """Return the document of ``plan --json``."""
    return {
        "wan2gp": wan2gp_part(catalog),
        "files": [file_part(file) for file in plan.files],
        "totals": totals_part(plan.files),
        "warnings": list(plan.warnings),
    }


def report_document(catalog: Catalog, plan: Plan, results: Iterable[FileResult]) -> dict[str, Any]:
    """Return the document of ``download --json`` and ``link --json``: the plan's, with outcomes."""
    document = plan_document(catalog, plan)
    document["files"] = [
        {
            **file_part(result.file),
            "outcome": result.outcome.value,
            "error": result.error if result.outcome.value == "failed" else None,
            "verified": result.verified,
        }
        for result in results
    ]
    return document


def wan2gp_part(catalog: Catalog) -> dict[str, Any]:
    """Return what is said about the tree itself."""
    settings = catalog.settings
    return {
        "directory": str(catalog.tree.root),
        "settings": {
            "transformer_quantization": settings.transformer_quantization,
            "transformer_dtype": settings.transformer_dtype,
            "text_encoder_quantization": settings.text_encoder_quantization,
        },
        "version": catalog.tree.version,
        "components_known": catalog.complete,
    }


def file_part(file: PlannedFile) -> dict[str, Any]:
    """Return one row."""
    remote, source, digest = file.remote, file.source, file.digest
    return {
        "target": file.target,
        "url": _shown_url(remote) if remote else None,
        "repo": remote.repo if remote else None,
        "revision": remote.revision if remote else None,
        "path": remote.path if remote else None,
        "size": file.size,
        "sha256": digest.hex if digest and digest.kind is DigestKind.SHA256 else None,
        "models": list(file.models),
        "roles": [role.value for role in file.roles],
        "required": file.required,
        "pair": file.pair,
        "action": file.action.value,
        "reason": file.reason,
        "source": {"store": source.store, "path": source.path, "evidence": source.evidence.value}
        if source and file.action is Action.LINK
        else None,
    }


def totals_part(files: Iterable[PlannedFile]) -> dict[str, dict[str, int]]:
    """Return files and bytes by action, over the rows that are asked for.

    ``conflict`` is there only if there is one.
    """
    totals: dict[str, dict[str, int]] = {
        action.value: {"files": 0, "bytes": 0} for action in Action if action is not Action.CONFLICT
    }
    for file in files:
        if file.selected:
            entry = totals.setdefault(file.action.value, {"files": 0, "bytes": 0})
            entry["files"] += 1
            entry["bytes"] += file.size or 0
    return totals


def _shown_url(remote: RemoteFile) -> str:
    # A Hub URL is public; any other may carry a secret in its query string.
    return remote.url if remote.repo else redact_url(remote.url)
