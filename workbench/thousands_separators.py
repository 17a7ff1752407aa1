"""Numbers in which a comma or a point may separate thousands as well as decimals."""

from __future__ import annotations

import re

# "1 000", "1'000" and the Arabic "1٬000" can mean one thing only; "1,000" and "1.000" two.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u2009\u202f'’٬]\d{3})+")
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+(?:\.\d+)?|(?:\.\d{3})+(?:,\d+)?)")
_ONE_GROUP = re.compile(r"([+-]?[1-9]\d{0,2})([.,])(\d{3})")


def about_thousands_separators(text: str, *, whole: bool, maximum: float | None = None) -> str:
    """Return a sentence where ``text`` has, or may have, a thousands separator; else "".

    "1.234" is taken as a decimal number where ``whole`` numbers are not asked for and 1234 would
    be above the ``maximum`` anyway.
    """
    text = text.strip()
    if one := _ONE_GROUP.fullmatch(text):
        front, mark, back = one.groups()
        if mark == "." and not whole and maximum is not None and int(front + back) > maximum:
            return ""
        decimal = f"{front}.{back}".rstrip("0").rstrip(".")
        return (f"“{text}” may mean {int(front + back)} or {decimal}; write it without a thousands "
                "separator.")
    if _THOUSANDS.fullmatch(text) or _GROUPS.fullmatch(text):
        return f"“{text}” has a thousands separator; write the number without one."
    return ""
