"""HTML by construction: text is escaped unless it was built here.

:func:`element` is the only way to make markup, and it escapes every child and attribute that is
not :class:`Html` already, so that forgetting to escape is not possible.
"""

from __future__ import annotations

from html import escape as html_escape

from reconciler.render.terminal import escape

__all__ = ["Html", "element", "html"]

_VOID = frozenset({"input", "meta"})


class Html(str):
    """Markup that is safe to put into a page as it stands."""

    __slots__ = ()


def html(text: str) -> Html:
    """Return foreign or plain text as markup; what is markup already stays."""
    return text if isinstance(text, Html) else Html(html_escape(escape(text), quote=True))


def element(name: str, /, *children: str, **attributes: str | bool) -> Html:
    """Return one element.

    Args:
        attributes: a trailing underscore is dropped (``class_``), others become hyphens; True
            stands for an attribute without value, False for none.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html(value)}"')
        for key, value in attributes.items()
        if value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(html(child) for child in children)}</{name}>")
