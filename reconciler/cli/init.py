"""``reconciler init``: a starter spec, its schema, and the CI files; never overwrites a file."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from reconciler._version import __version__
from reconciler.cli.console import Console
from reconciler.errors import ReconcilerError
from reconciler.render.terminal import escape

__all__ = ["run"]

_CI = {
    "github": (".github/workflows/reconciler.yml", "github.yml"),
    "azure": (".azuredevops/reconciler.yml", "azure.yml"),
}


def run(args: Namespace) -> int:
    """Write the files, all of them or none."""
    console = Console.of(args)
    folder: Path = args.folder
    texts = _texts(args.ci)
    taken = [name for name in texts if (folder / name).exists() or (folder / name).is_symlink()]
    if taken:
        raise ReconcilerError(
            f"already there, and init overwrites nothing: {', '.join(taken)}; nothing was written",
            remedy="choose another directory or --ci, or remove them first",
        )
    _write_all(folder, texts)
    if not console.quiet:
        for name in texts:
            console.write(f"+ {escape(str(folder / name))}\n")
        console.write("\n")
    console.write(
        f"Wrote {len(texts)} files. Next: fill in {escape(str(folder / 'estate.yaml'))}"
        + ("." if args.ci == "none" else ", and do what the head of the CI file says, once.")
        + "\n"
    )
    return 0


def _texts(ci: str) -> dict[str, str]:
    """Return the text of each file by its place below the directory."""
    from reconciler.render.schemas import schema_text  # noqa: PLC0415 - imports every model

    out = {"estate.yaml": _template("estate.yaml"), "spec.schema.json": schema_text("spec")}
    for name, (place, template) in _CI.items():
        if ci in (name, "both"):
            out[place] = _template(template)
    return out


def _template(name: str) -> str:
    source = files("reconciler.cli").joinpath("init_files", name)
    return source.read_text(encoding="utf-8").replace("@VERSION@", __version__)


def _write_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write new files; when one cannot be written, those before it go again."""
    written: list[Path] = []
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise ReconcilerError(
            f"cannot write {error.filename or folder}: {error.strerror or error}",
            remedy="nothing was kept of what was written before it",
        ) from error
