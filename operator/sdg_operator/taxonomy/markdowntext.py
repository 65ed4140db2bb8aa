"""Tells whether a Markdown document holds any text that the engine makes samples of. Pure.

The engine's chunker gives nothing for headings, rules, comments and the like by themselves, and a leaf without a chunk
ends its run. The chunker is too large for the check's image, and no parser of Markdown is safe from hostile text; this
reads line by line, in linear time, and knows those lines for sure that give nothing. Where it is in doubt, there is
text. That it agrees with the chunker is tested.
"""

import re
from typing import Final

_ATX: Final = re.compile(r"#{1,6}(?=[ \t]|$)")
_SETEXT: Final = re.compile(r"(=+|-+)$")
_RULE: Final = re.compile(r"(?:-[ \t]*){3,}$|(?:_[ \t]*){3,}$|(?:\*[ \t]*){3,}$")
_FENCE: Final = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_LINK_DEFINITION: Final = re.compile(
    r"\[[^\[\]\\^\s][^\[\]\\]*\]:[ \t]*(?:<[^<>\\]*>|[^\s<>\\]+)(?:[ \t]+(?:\"[^\"\\]*\"|'[^'\\]*'))?$"
)
_EMPTY_ITEM: Final = re.compile(r"(?:(?:[-+*]|[0-9]{1,9}[.)])(?:[ \t]+|$))+$")
_IMAGE: Final = re.compile(r"!\[\]\([^\s()<>\\]+\)[ \t]*")
_BARE: Final = re.compile(
    r"</?(?:a|b|br|center|div|em|font|hr|i|nav|p|section|small|span|strong|sub|sup)(?:[ \t][^<>&`]*)?/?>[ \t]*"
    r"|<h[1-6](?:[ \t][^<>&`]*)?>[^<>&`]*</h[1-6]>[ \t]*"
    r"|<!--(?!-?>)[^<>&`]*?-->[ \t]*",
    re.IGNORECASE,
)
_MARKUP: Final = re.compile(
    r"\*(?=\S)|(?<=\S)\*|(?<!\w)_|_(?!\w)|[`\[\]\\]|<(?=[a-z/!?])|&[#\w]+;|~~|://|www\.|@", re.IGNORECASE
)
_CODE: Final = re.compile(r"[ \t]*`[^`]+`[ \t#]*")
_INDENT: Final = 4
_DASHES: Final = 10
"""More dashes with blanks between them, and docling takes them for damage and mends it."""


def has_text(text: str) -> bool:
    """Tell whether the chunker gives at least one chunk of it; also True when that is not certain."""
    reader = _Reader()
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return any(reader.is_text(line) for line in lines) or reader.is_text_at_the_end()


class _Reader:
    def __init__(self) -> None:
        self._fence = ""
        self._in_comment = False
        self._in_html = False
        """Until the next blank line all is HTML."""
        self._in_list = False
        self._in_paragraph = False
        """The line before was an image alone."""
        self._dashes = 0
        self._heading = False
        """The line before is text, unless this one underlines it as a heading."""

    def is_text(self, line: str) -> bool:
        """Take the next line."""
        if self._fence:
            return self._in_fence(line)
        if self._in_comment:
            return self._ends_comment(line)
        content = line.strip()
        if self._heading:
            self._heading = False
            return _indent(line) >= _INDENT or not _SETEXT.match(content)
        if not content:
            self._in_html = self._in_paragraph = False
            return False
        if self._in_html:
            return not _is_all(_BARE, content)
        return self._is_nested(line, content) or self._begins_text(content)

    def is_text_at_the_end(self) -> bool:
        return self._heading or self._in_comment

    def _is_nested(self, line: str, content: str) -> bool:
        """Tell whether a line is code, or may belong to an item of a list, where even a heading is text."""
        in_item = self._in_list and line[0] in " \t" and not _EMPTY_ITEM.match(content)
        return in_item or _indent(line) >= _INDENT

    def _begins_text(self, content: str) -> bool:
        after_image, self._in_paragraph = self._in_paragraph, False
        if heading := _ATX.match(content):
            is_code = _CODE.fullmatch(content, heading.end())
            return is_code is None and _MARKUP.search(content, heading.end()) is not None
        if self._is_damage(content):
            return True
        if fence := _FENCE.match(content):
            self._fence = fence[0]
            return False
        if _is_all(_IMAGE, content):
            self._in_paragraph = True
            return False
        if self._gives_nothing(content):
            return after_image
        self._heading = not (after_image or self._in_list or _MARKUP.search(content) or content[0] in "|>+-")
        return not self._heading

    def _is_damage(self, content: str) -> bool:
        if content[0] != "-" or (len(content) > 1 and not content.strip("-")):
            return False
        self._dashes += content.count("-")
        return self._dashes > _DASHES

    def _gives_nothing(self, content: str) -> bool:
        if content.startswith("<!--") and "-->" not in content:
            self._in_comment = True
        elif _is_all(_BARE, content):
            self._in_html = not content.startswith("<!--")
        elif _EMPTY_ITEM.match(content) and not _RULE.match(content):
            self._in_list = True
        else:
            is_quotation = content.strip("> \t") == ""
            return is_quotation or any(kind.match(content) for kind in (_RULE, _LINK_DEFINITION))
        return True

    def _in_fence(self, line: str) -> bool:
        content = line.strip()
        if content.startswith(self._fence) and not content.strip(self._fence[0]) and _indent(line) < _INDENT:
            self._fence = ""
            return False
        return bool(content)

    def _ends_comment(self, line: str) -> bool:
        _, end, rest = line.partition("-->")
        if end:
            self._in_comment = False
        return bool(end) and bool(rest.strip())


def _is_all(piece: re.Pattern[str], content: str) -> bool:
    position = 0
    while position < len(content) and (found := piece.match(content, position)):
        position = found.end()
    return position == len(content)


def _indent(line: str) -> int:
    expanded = line[:_INDENT].expandtabs(_INDENT)
    return len(expanded) - len(expanded.lstrip(" "))
