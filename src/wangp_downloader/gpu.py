"""One question about the GPU: does it compute in bf16? Asked of the driver, remembered for a day."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path

_REMEMBERED_S = 86_400
_TIMEOUT_S = 5.0


def gpu_has_bf16(state_dir: Path) -> bool:
    """Return whether Wan2GP would use bf16 here where its settings leave the choice open.

    Wan2GP asks torch for the compute capability and takes bf16 from 8 on. Without an NVIDIA driver nothing
    is known, and bf16 is assumed: that is what AMD and newer cards use, and what a machine gets whose models
    are fetched before its GPU is there.

    Args:
        state_dir: Our own folder, where the answer is kept.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return True
    memory = state_dir / "gpu.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        if time.time() - memory.stat().st_mtime < _REMEMBERED_S:
            return bool(json.loads(memory.read_text())["bf16"])
    answer = _ask(program)
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"bf16": answer}))
    return answer


def _ask(program: str) -> bool:
    command = [program, "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        capabilities = [float(line) for line in answer.stdout.split() if line.strip()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return True
    # torch speaks of the first device unless told otherwise.
    return not capabilities or capabilities[0] >= 8
