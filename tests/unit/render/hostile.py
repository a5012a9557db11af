"""Names that try to be something else, and plans that are full of them."""

from hypothesis import strategies as st

from reconciler.plan import actions as a
from reconciler.plan.plan import (
    DriftEntry,
    HeldEntry,
    IgnoredEntry,
    PlanDiagnostic,
    PlanSpec,
    UnknownEntry,
)

from .samples import action, op_of, plan

NAMES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code></td></details><b>",
    '"><a href="javascript:alert(1)">x</a>',
    "@octocat and @contoso/admins, mail a@b.example",
    "@<6f1c0f5e-0000-4000-8000-000000000001>",
    "see #12, GH-12, contoso/sales#12, AB#12, ABC-12",
    "https://evil.example/x www.evil.example ftp://evil.example mailto:a@b.example",
    "[text](https://evil.example) ![i](x.png) [ref]: x [^1] <https://evil.example>",
    "a|b\\|c\\\\|d",
    "a`b``c```d",
    "`",
    "``` ~~~",
    "a\nb\r\n# heading\n- item\n\n1. one\n> quote\n---\n===",
    "*em* _em_ **b** __b__ ~~s~~ $x$ $$y$$ :smile: &lt; &#60; &amp;",
    "1. one",
    "- item",
    "# heading",
    "\u202eevil \x1b[31mred\x07",
    "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c",
    "${{ secrets.TOKEN }} ##vso[task.setvariable variable=x]y",
    "```mermaid\nclick a1 call alert()\n```",
    'x"] --> y["',
    "--> <!-- %%{init: {}}%%",
    "$$\\rm evil$$",
    "",
    " ",
    "\N{NO-BREAK SPACE}",
    "\N{PARTY POPPER}" * 3,
    "日本語 ünï",
)

texts = st.one_of(
    st.sampled_from(NAMES),
    st.text(alphabet="@#<>|`[]()\\*_~$&!:;/.\"' \n-+=ab1", max_size=40),
    st.text(max_size=40),
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=4).map(" ".join),
)


def full_plan(text, *, kind="git.update", times=1, value=None):
    """Return a plan that shows ``text`` in every place a plan has."""
    item = a.ItemChange(type=text, name=text, change=text, conflict=text, detail=text)
    actions = tuple(
        action(
            kind,
            f"workspaces/{n}{text}",
            op=op_of(kind, text),
            why=text,
            wave=1 + n % 3,
            changes=(a.FieldChange(path=text, before=value, after=text),),
            items=(item,) * 3,
            after_unknown=True,
            outcomes=(text,),
            depends_on=(f"{kind}:workspaces/0{text}",) if n else (),
            destructive=n % 2 == 0,
        )
        for n in range(times)
    )
    entry = DriftEntry(address=text, cause=text, text=text, items=(item,))
    return plan(
        *actions,
        spec=PlanSpec(name=text, digest="0" * 64, files=(text,)),
        drift=(entry,) * times,
        diagnostics=tuple(
            PlanDiagnostic(severity=s, code="c", summary=text, detail=text, path=text, file=text)
            for s in ("error", "warning")
        )
        * times,
        unknown=(text,),
        unreadable=(UnknownEntry(address=text, text=text, remedy=text),),
        held=(HeldEntry(address=text, text=text, items=(item,)),) * times,
        ignored=(IgnoredEntry(address=text, text=text, items=(item,)),) * times,
    )
