"""Cassettes as YAML text: pleasant to review, and exact to the byte."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import yaml

__all__ = ["dumped"]


def dumped(data: Any) -> str:
    """Plain data as YAML, ending in one line feed."""
    import yaml

    text: str = yaml.dump(data, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110)
    return text.rstrip("\n") + "\n"


@cache
def _dumper() -> type[yaml.SafeDumper]:
    """A YAML dumper whose files are pleasant to review, and come back byte for byte."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Long texts as literal blocks; where those are not exact, quoted line by line."""

        def ignore_aliases(self, data: object) -> bool:
            del data
            return True

        def represent_text(self, text: str) -> yaml.ScalarNode:
            style = None
            if '"' in text or "\n" in text or not text.isprintable():
                style = "|" if _LITERAL.fullmatch(text) else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)

        def represent_list(self, items: Iterable[Any]) -> yaml.SequenceNode:
            entries = list(items)
            pairs = bool(entries) and all(isinstance(entry, list) for entry in entries)
            return self.represent_sequence("tag:yaml.org,2002:seq", entries, flow_style=pairs)

        def analyze_scalar(self, scalar: str) -> yaml.emitter.ScalarAnalysis:
            """Of a text of megabytes only what decides between a literal block and quotes: the rest takes seconds."""
            if len(scalar) < _LONG:
                return super().analyze_scalar(scalar)
            block = _LITERAL.fullmatch(scalar) is not None
            return yaml.emitter.ScalarAnalysis(scalar, False, True, False, False, False, True, block)

        def write_literal(self, text: str) -> None:
            """As in PyYAML, by lines in the place of characters; `_LITERAL` has no other ends of a line."""
            hints = self.determine_block_hints(text)
            self.write_indicator(f"|{hints}", True)
            self.open_ended = self.open_ended or hints.endswith("+")
            self.write_line_break()
            *ended, last = text.split("\n")
            for line in ended:
                self._write_line(line)
            if last:
                self._write_line(last)

        def _write_line(self, line: str) -> None:
            if line:
                self.write_indent()
                self.stream.write(line)
            self.write_line_break()

        def write_double_quoted(self, text: str, split: bool = True) -> None:
            self.write_indicator('"', True)
            lines = re.findall(r"[^\n]*\n|[^\n]+", text) if split else [text]
            for number, line in enumerate(lines):
                if number:
                    self.stream.write("\\")
                    self.write_indent()
                    self.stream.write("\\" if line.startswith(" ") else "")
                escaped = _UNQUOTABLE.sub(_escape, line)
                self.stream.write(escaped)
                self.column += len(escaped)
            self.write_indicator('"', False)

    Dumper.add_representer(str, Dumper.represent_text)
    Dumper.add_representer(list, Dumper.represent_list)
    return Dumper


# Lines of printable characters that neither start a block with white space nor end in it: editors keep these.
_PRINTABLE: Final = r"[ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]"
_LITERAL: Final = re.compile(rf"(?! )(?:{_PRINTABLE}*(?<! )\n)*(?:{_PRINTABLE}*(?<! ))?")
_LONG: Final = 64 * 1024
_UNQUOTABLE: Final = re.compile(rf'["\\]|(?!{_PRINTABLE}).', re.DOTALL)
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", '"': '\\"', "\\": "\\\\"}


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
