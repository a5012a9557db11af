"""The four campaigns: specs, plan files, journals, hostile answers. Each case has its own seed."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from in_process import in_process
from judge import Tally, run_command, unclean_text
from mutate import changed_bytes, changed_document, changed_lines, changed_value
from world import SPEC, hostile_run, made_files, write_items

from reconciler import engine
from reconciler.errors import ReconcilerError
from reconciler.plan.fingerprint import fingerprint_of
from reconciler.plan.plan import _printed
from reconciler.render.terminal import escape
from reconciler.spec.models import Estate

__all__ = ["SEED", "fuzz_answers", "fuzz_journals", "fuzz_plans", "fuzz_specs"]

SEED = 20261122
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "specs"
_TEXTUAL: tuple[Callable[[random.Random, bytes], bytes], ...] = (changed_bytes, changed_lines)
_COMMANDS = (
    *(("show", "--format", form) for form in ("text", "json", "markdown", "html")),
    *(("graph", "--format", form) for form in ("mermaid", "dot")),
)


def _rng(campaign: str, number: int) -> random.Random:
    return random.Random(f"{SEED} {campaign} {number}")  # noqa: S311 - reproducible cases


def fuzz_specs(folder: Path, cases: int) -> Tally:
    """Validate changed copies of every example."""
    tally = Tally("specs")
    originals = [p.read_bytes() for p in sorted(EXAMPLES.glob("*.yaml"))]
    target = folder / "fuzzed.yaml"
    for number in range(cases):
        rng = _rng("specs", number)
        raw = originals[number % len(originals)]
        how = rng.choice((*_TEXTUAL, changed_document, changed_document))
        target.write_bytes(how(rng, raw))
        form = rng.choice(("text", "text", "json", "markdown"))
        words = ("validate", str(target), "--format", form)
        tally.judge(str(number), lambda words=words: run_command(words))
    return tally


def fuzz_plans(folder: Path, cases: int) -> Tally:
    """Show changed plan files, and try to carry out those that can be read."""
    tally = Tally("plan files")
    plans, _ = asyncio.run(made_files(folder))
    target = folder / "fuzzed.json"
    for number in range(cases):
        rng = _rng("plans", number)
        raw = plans[number % len(plans)]
        if rng.random() < 0.4:
            target.write_bytes(rng.choice(_TEXTUAL)(rng, raw))
        else:
            data: Any = changed_value(rng, json.loads(raw))
            if isinstance(data, dict) and rng.random() < 0.8:
                # Somebody who edits a plan with intent brings its fingerprint up to date.
                with suppress(ValueError):
                    data["fingerprint"] = fingerprint_of(_printed(data))
            target.write_text(json.dumps(data))
        command, *flags = _COMMANDS[number % len(_COMMANDS)]
        words = (command, str(target), *flags)
        tally.judge(str(number), lambda words=words: run_command(words))
    return tally


def fuzz_journals(folder: Path, cases: int) -> Tally:
    """List and show changed journals, and let an apply take over from them."""
    tally = Tally("journals")
    _, journals = asyncio.run(made_files(folder))
    place = folder / "fuzzed-journals" / "sales"
    place.mkdir(parents=True)
    target = place / "20260101T000000.000000Z-0123456789ab.jsonl"
    estate = engine.load([folder / "spec.yaml"]).require()
    for number in range(cases):
        rng = _rng("journals", number)
        raw = journals[number % len(journals)]
        target.write_bytes(rng.choice((*_TEXTUAL, _changed_records, _changed_records))(rng, raw))
        match number % 3:
            case 0:
                words = ("runs", "--journal", str(place.parent))
            case 1:
                words = ("runs", "show", "0123", "--journal", str(place.parent))
            case _:
                words = ("runs", "--format", "json", "--journal", str(place.parent))
        tally.judge(str(number), lambda words=words: run_command(words))
        if number % 3 == 2:
            tally.judge(f"{number} taken over", lambda: _take_over(estate, place.parent))
            for made in place.glob("*.jsonl"):
                made.unlink()
    return tally


def _changed_records(rng: random.Random, raw: bytes) -> bytes:
    lines = raw.splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        with suppress(ValueError):
            lines[at] = json.dumps(changed_value(rng, json.loads(lines[at]))).encode()
    return b"\n".join(lines) + rng.choice((b"\n", b"", b"\n{"))


def _take_over(estate: Estate, journals: Path) -> str:
    async def take() -> str:
        async with in_process() as world:
            settings = world.settings(journals=journals, timeout_s=5)
            try:
                taken = await engine.take_over(estate, settings)
            except ReconcilerError as error:
                return _judged(f"error: {error.message} {error.remedy}")
            taken.journal.end("complete")
        return ""

    return asyncio.run(take())


def fuzz_answers(folder: Path, cases: int) -> Tally:
    """Plan and apply against services that spoil their answers."""
    tally = Tally("hostile answers")
    write_items(folder)
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    with _loop() as run, _silence():
        world_of = in_process()
        world = run(world_of.__aenter__())
        for number in range(cases):

            def case(number: int = number) -> str:
                text, strayed = run(hostile_run(world, folder, SEED + number, tally.reached))
                return f"asked {strayed}" if strayed else _judged(text)

            tally.judge(str(number), case)
        run(world_of.__aexit__(None, None, None))
    return tally


def _judged(text: str) -> str:
    last = text.rpartition("error: ")
    return unclean_text(
        "\n".join(escape(line) for line in last[2].splitlines()) if last[1] else text
    )


@contextmanager
def _loop() -> Iterator[Callable[[Any], Any]]:
    with asyncio.Runner() as runner:
        yield runner.run


@contextmanager
def _silence() -> Iterator[None]:
    """Let the emulators of this run keep no record: hostile answers fit no contract."""
    before = os.environ.pop("RECONCILER_EMULATOR_RECORD", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["RECONCILER_EMULATOR_RECORD"] = before
