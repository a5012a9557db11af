"""YAML text into plain data that remembers where every value stands.

The parser's events are read one by one instead of letting a loader build objects: that is what
makes duplicate keys visible, keeps positions, stops at self-references and at aliases that
would expand without bound, and cannot construct anything but plain data. Plain words follow
YAML 1.2, as editors do: ``no``, ``on`` and dates are text; only true, false, null and numbers
are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.spec.places import Place

__all__ = ["MAX_FILE_BYTES", "Source", "read_source"]

MAX_FILE_BYTES = 10 * 1024 * 1024
_MAX_ALIAS_BYTES = 1024 * 1024
_MAX_DEPTH = 100
_MAX_NODES = 1_000_000
_NODE_BYTES = 16  # what a value counts beside its text, so that empty values are not free

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAYBE_TYPED = frozenset("~-+.0123456789nNtTfF")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,9})?")
_CORE = "tag:yaml.org,2002:"
_PLAIN_WORDS_FOR = {
    "mapping values are not allowed in this context": (
        "a second colon on this line, or wrong indentation",
        "Put the value in quotes if the colon belongs to it; otherwise check the indentation.",
    ),
    "did not find expected ',' or ']'": (
        "a list opened with [ is not closed",
        "Close it with ], and separate its entries with commas.",
    ),
    "did not find expected ',' or '}'": (
        "a mapping opened with { is not closed",
        "Close it with }, and separate its entries with commas.",
    ),
    "could not find expected ':'": (
        "a key without a colon after it",
        "Write `key: value`; check the indentation of the lines around it.",
    ),
    "did not find expected key": (
        "the indentation does not fit the lines above",
        "Keys of one mapping start in the same column.",
    ),
    "did not find expected '-' indicator": (
        "a key stands where the next `-` of a list is expected",
        "Check the indentation of this line.",
    ),
    "found character that cannot start any token": (
        "a value may not start with this character",
        "Put the value in quotes.",
    ),
    "did not find expected node content": (
        "the file ends, or a bracket closes, where a value is expected",
        "Check that every { and [ is closed.",
    ),
    "found unexpected end of stream": (
        "a quote that was opened is not closed",
        "Close it with the same quote.",
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What one file holds; ``data`` means nothing when there are errors."""

    data: Any
    place: Place
    diagnostics: tuple[Diagnostic, ...] = ()


class _Problem(Exception):
    """Carries the finding that ends the reading of a file."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.summary)
        self.diagnostic = diagnostic


class _Anchored(NamedTuple):
    """A value that aliases may repeat, with what repeating it costs."""

    value: Any
    place: Place
    size: int
    height: int


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is being read."""

    data: dict[str, Any] | list[Any]
    places: dict[str, Any] | list[Any]
    line: int
    column: int
    anchor: str | None
    key: str | None = None
    key_line: int = 0
    key_column: int = 0
    is_merge: bool = False
    size: int = 0
    height: int = 0
    merges: list[tuple[Any, Place]] = field(default_factory=list)


def read_source(raw: bytes, file: str) -> Source:
    """Read one YAML document; problems come back as diagnostics, never as exceptions."""
    nothing = Place(file, 1, 1)
    try:
        text = _decode(raw, file)
    except _Problem as problem:
        return Source(None, nothing, (problem.diagnostic,))
    reader = _Reader(file)
    try:
        data, place = reader.read(text)
    except _Problem as problem:
        reader.found.append(problem.diagnostic)
    except yaml.reader.ReaderError as error:
        reader.found.append(_bad_character(error, text, file))
    except yaml.MarkedYAMLError as error:
        reader.found.append(_syntax_error(error, text, file))
    else:
        return Source(data, place, tuple(reader.found))
    return Source(None, nothing, tuple(reader.found))


class _Reader:
    """Builds data and places from the events of one file, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Diagnostic] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, _Anchored] = {}
        self.alias_bytes = 0
        self.nodes = 0
        self.root: tuple[Any, Place] | None = None

    def read(self, text: str) -> tuple[Any, Place]:
        """Read the only document of ``text``."""
        for event in _events(text):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent and self.root is not None:
                self._stop(
                    event,
                    "several_documents",
                    "The file holds a second YAML document.",
                    "One file holds one document; put the second one into a file of its own.",
                )
        if self.root is None or self.root[0] is None:
            raise _Problem(
                _error(
                    "empty_file",
                    "The file is empty.",
                    "A spec starts with apiVersion: reconciler/v1 and kind: Estate.",
                    SourceSpan(self.file, 1, 1),
                )
            )
        return self.root

    def _scalar(self, event: Any) -> None:  # noqa: ANN401 - untyped library
        mark = event.start_mark
        value: Any = event.value
        raw = ""
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.data) is dict and frame.key is None:
            self._key(frame, value, mark, plain=event.implicit[0])
            if event.anchor:
                place = Place(self.file, mark.line + 1, mark.column + 1)
                size = len(value) + _NODE_BYTES
                self.anchors[event.anchor] = _Anchored(value, place, size, 0)
            return
        if event.tag is not None and event.tag != "!":
            value = self._tagged(event)
        elif event.implicit[0] and (not value or value[0] in _MAYBE_TYPED):
            value = _plain(value)
        if value is not event.value:
            raw = event.value or "~"
        place = Place(self.file, mark.line + 1, mark.column + 1, 0, 0, raw)
        self._add(_Anchored(value, place, len(event.value) + _NODE_BYTES, 0), event.anchor)

    def _key(self, frame: _Frame, key: str, mark: Any, *, plain: bool) -> None:  # noqa: ANN401
        frame.key, frame.key_line, frame.key_column = key, mark.line + 1, mark.column + 1
        frame.is_merge = plain and key == "<<"
        first = frame.places.get(key) if isinstance(frame.places, dict) else None
        if first is not None:
            self.found.append(
                _error(
                    "duplicate_key",
                    f'The key "{_short(key)}" stands here a second time; the first is in line '
                    f"{first.key_line}.",
                    "YAML would silently keep one of the two. Remove one.",
                    SourceSpan(self.file, frame.key_line, frame.key_column),
                )
            )

    def _open(self, event: Any) -> None:  # noqa: ANN401 - untyped library
        mark = event.start_mark
        is_map = type(event) is yaml.MappingStartEvent
        if len(self.stack) >= _MAX_DEPTH:
            self._too_deep(event)
        if self.stack and type(self.stack[-1].data) is dict and self.stack[-1].key is None:
            self._stop(
                event,
                "bad_key",
                "A list or mapping stands where a key is expected.",
                "Keys are plain text. A value that starts with { or [ needs quotes.",
            )
        if event.tag not in {None, "!", _CORE + ("map" if is_map else "seq")}:
            self._bad_tag(event)
        data: dict[str, Any] | list[Any] = {} if is_map else []
        places: dict[str, Any] | list[Any] = {} if is_map else []
        self.stack.append(_Frame(data, places, mark.line + 1, mark.column + 1, event.anchor))
        if event.anchor:
            self.anchors.pop(event.anchor, None)

    def _close(self) -> None:
        frame = self.stack.pop()
        for data, origin in frame.merges:
            assert isinstance(frame.data, dict)  # noqa: S101 - merges stand in mappings only
            assert isinstance(frame.places, dict)  # noqa: S101
            assert isinstance(origin.children, dict)  # noqa: S101
            for key, value in data.items():
                if key not in frame.data:
                    frame.data[key] = value
                    frame.places[key] = origin.children[key]
        place = Place(self.file, frame.line, frame.column, 0, 0, "", frame.places)
        size, height = frame.size + _NODE_BYTES, frame.height + 1
        self._add(_Anchored(frame.data, place, size, height), frame.anchor)

    def _alias(self, event: Any) -> None:  # noqa: ANN401 - untyped library
        name, mark = event.anchor, event.start_mark
        if any(frame.anchor == name for frame in self.stack):
            self._stop(
                event,
                "recursive_alias",
                f"The alias *{_short(name)} stands inside the value it refers to.",
                "A value cannot contain itself. Remove the alias.",
            )
        if name not in self.anchors:
            self._stop(
                event,
                "unknown_alias",
                f"The alias *{_short(name)} refers to nothing above it.",
                f"Mark the value it means with &{_short(name)}, or put quotes around a text that "
                "starts with *.",
            )
        value, place, size, height = self.anchors[name]
        if len(self.stack) + height > _MAX_DEPTH:
            self._too_deep(event)
        self.alias_bytes += size
        if self.alias_bytes > _MAX_ALIAS_BYTES:
            self._stop(
                event,
                "alias_expansion",
                "The aliases of this file expand to more than 1 MiB.",
                "Write the values out, or use fewer aliases inside aliases.",
            )
        frame = self.stack[-1]
        if type(frame.data) is dict and frame.key is None:
            if not isinstance(value, str):
                self._stop(event, "bad_key", "The alias does not stand for a text.", "")
            self._key(frame, value, mark, plain=False)
            return
        self._attach(_Anchored(value, place._replace(key_line=0, key_column=0), size, height))

    def _add(self, node: _Anchored, anchor: str | None) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise _Problem(
                _error(
                    "too_many_values",
                    f"The file holds more than {_MAX_NODES:,} values.",
                    "Split the estate into several.",
                    node.place.of_value(),
                )
            )
        if anchor:
            self.anchors[anchor] = node
        self._attach(node)

    def _attach(self, node: _Anchored) -> None:
        if not self.stack:
            self.root = (node.value, node.place)
            return
        frame = self.stack[-1]
        frame.size += node.size
        if node.height > frame.height:  # noqa: PLR1730 - max() is a call for every value
            frame.height = node.height
        if isinstance(frame.data, list) and isinstance(frame.places, list):
            frame.data.append(node.value)
            frame.places.append(node.place)
            return
        assert isinstance(frame.data, dict)  # noqa: S101 - a frame is one of the two
        assert isinstance(frame.places, dict)  # noqa: S101
        key, frame.key = frame.key, None
        if frame.is_merge:
            frame.is_merge = False
            self._merge(frame, node.value, node.place)
            return
        frame.size += len(key or "")
        if key is not None and key not in frame.data:
            frame.data[key] = node.value
            place = node.place
            frame.places[key] = Place(  # as _replace does, which takes four times as long
                place.file,
                place.line,
                place.column,
                frame.key_line,
                frame.key_column,
                place.raw,
                place.children,
            )

    def _merge(self, frame: _Frame, value: Any, place: Place) -> None:  # noqa: ANN401 - any data
        many = isinstance(value, list)
        values = value if isinstance(value, list) else [value]
        places = place.children if many and isinstance(place.children, list) else [place]
        if not all(isinstance(v, dict) for v in values):
            raise _Problem(
                _error(
                    "bad_merge",
                    "The merge key << takes a mapping or a list of mappings.",
                    "Write `<<: *name`, where &name marks a mapping.",
                    SourceSpan(self.file, frame.key_line, frame.key_column),
                )
            )
        frame.merges.extend(zip(values, places, strict=True))

    def _tagged(self, event: Any) -> Any:  # noqa: ANN401 - untyped library
        text, kind = event.value, str(event.tag).removeprefix(_CORE)
        if event.tag == _CORE + "str":
            return text
        value = _plain(text)
        types: dict[str, Any] = {
            "int": int,
            "float": (int, float),
            "bool": bool,
            "null": type(None),
        }
        if not event.tag.startswith(_CORE) or kind not in types:
            self._bad_tag(event)
        elif not isinstance(value, types[kind]) or (kind != "bool" and isinstance(value, bool)):
            self.found.append(
                _error(
                    "bad_tag",
                    f"The value is marked !!{kind} and is not one.",
                    "Remove the tag, or write a value that fits it.",
                    _span(event, self.file),
                )
            )
        return value

    def _bad_tag(self, event: Any) -> None:  # noqa: ANN401 - untyped library
        shown = _short(str(event.tag).replace(_CORE, "!!"))
        self.found.append(
            _error(
                "bad_tag",
                f"The YAML tag {shown} is not supported.",
                "A spec holds plain text, numbers, lists and mappings only. Remove the tag, or "
                "put quotes around a text that starts with !.",
                _span(event, self.file),
            )
        )

    def _too_deep(self, event: Any) -> None:  # noqa: ANN401 - untyped library
        self._stop(
            event,
            "too_deep",
            f"The file nests more than {_MAX_DEPTH} levels deep.",
            "No spec needs that; check for brackets that are not closed.",
        )

    def _stop(self, event: Any, code: str, summary: str, detail: str) -> None:  # noqa: ANN401
        raise _Problem(_error(code, summary, detail, _span(event, self.file)))


def _events(text: str) -> Iterator[Any]:
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    return events


def _plain(text: str) -> Any:  # noqa: ANN401 - any scalar
    """Read a plain word by the core schema of YAML 1.2; numbers no file can hold stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _decode(raw: bytes, file: str) -> str:
    if len(raw) > MAX_FILE_BYTES:
        raise _Problem(
            _error(
                "file_too_large",
                "The file is larger than 10 MiB.",
                "Split the estate into several files.",
                SourceSpan(file),
            )
        )
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Problem(
            _error(
                "not_utf8",
                "The file is UTF-16; a spec is UTF-8.",
                "Save it as UTF-8.",
                SourceSpan(file, 1, 1),
            )
        )
    nul = raw.find(b"\0")
    if nul >= 0:
        raise _Problem(
            _error(
                "binary_file",
                "The file holds a NUL byte, so it is not a text file.",
                "Give a YAML file.",
                _byte_span(raw, nul, file),
            )
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        raise _Problem(
            _error(
                "not_utf8",
                f"The byte 0x{raw[offset]:02x} is not valid UTF-8.",
                "Save the file as UTF-8.",
                _byte_span(raw, offset, file),
            )
        ) from None


def _byte_span(raw: bytes, offset: int, file: str) -> SourceSpan:
    before = raw[:offset]
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode("utf-8", "replace")) + 1
    return SourceSpan(file, before.count(b"\n") + 1, column)


def _bad_character(error: yaml.reader.ReaderError, text: str, file: str) -> Diagnostic:
    """Place a character YAML forbids; searched for, since the two readers count differently."""
    code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1])
    offset = text.find(chr(code))
    before = text[: max(offset, 0)]
    span = SourceSpan(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return _error(
        "bad_character",
        f"The character U+{code:04X} is not allowed in YAML.",
        "Remove it; inside double quotes it can be written as an escape.",
        span,
    )


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> Diagnostic:
    mark: Any = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "unknown problem"
    if mark is None:
        return _error("yaml_syntax", f"YAML: {problem}.", "", SourceSpan(file))
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    if "\t" in indent or "tab character" in problem:
        column = indent.index("\t") + 1 if "\t" in indent else mark.column + 1
        return _error(
            "tab_indentation",
            "A tab is used for indentation; YAML accepts only spaces.",
            "Replace it with spaces, and set the editor to insert spaces.",
            SourceSpan(file, mark.line + 1, column),
        )
    summary, detail = _PLAIN_WORDS_FOR.get(problem, (problem, "Check the line and the one above."))
    opened: Any = error.context_mark
    if opened is not None and opened.line != mark.line:
        summary += f" (it started in line {opened.line + 1})"
    return _error(
        "yaml_syntax",
        f"This is not valid YAML: {summary}.",
        detail,
        SourceSpan(file, mark.line + 1, mark.column + 1),
    )


def _span(event: Any, file: str) -> SourceSpan:  # noqa: ANN401 - untyped library
    mark = event.start_mark
    return SourceSpan(file, mark.line + 1, mark.column + 1)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _error(code: str, summary: str, detail: str, span: SourceSpan) -> Diagnostic:
    return Diagnostic(Severity.ERROR, code, summary, detail, span=span)
