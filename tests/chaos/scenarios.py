"""The scenarios of the matrix: every example."""

from __future__ import annotations

from pathlib import Path

from chaos.matrix import Scenario

__all__ = ["SCENARIOS"]

_EXAMPLES = Path(__file__).parents[2] / "examples" / "specs"
_SECRETS = {"SP_SECRET": "sp-secret", "GITHUB_PAT": "ghp-secret", "SOURCE_PAT": "pat-secret"}

SCENARIOS = {
    spec.stem: Scenario(spec.stem, spec, _EXAMPLES / "scenarios" / spec.name, _SECRETS)
    for spec in sorted(_EXAMPLES.glob("*.yaml"))
}
