"""OTLP's messages, written byte by byte.

As `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto` (1.5 and later) have
them. A field is a tag (its number, shifted by three, and its wire type), for texts and messages the
length, then the content; what has its default is left out. Making objects of protobuf's for each
attribute only to have them written took nine tenths of the time that an export cost.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from opentelemetry.trace.span import TraceState

from proxy.telemetry.recurring import Recurring
from proxy.telemetry.tracing.records import Scope, SpanEvent, SpanLink, SpanRecord

__all__ = [
    "NAMES",
    "EncodedSpan",
    "Export",
    "encode_resource",
    "encode_scope",
    "encode_span",
    "packed",
]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_ATTRIBUTES: Final = b"\x4a"
"""The tag of `Span.attributes`."""

_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_FLAGS: Final = 0xFF
_LEAST_INT, _MOST_INT = -(1 << 63), (1 << 63) - 1
_64_BITS: Final = (1 << 64) - 1
_MOST_NAMES: Final = 512
_MOST_VALUES: Final = 64
_LONGEST_TEXT: Final = 64
_LONGEST_LIST: Final = 256

# The API counts kinds from 0, where the protocol has one that is not known; the next field's tag.
_KINDS: Final = {kind: bytes((6 << 3, kind.value + 1, 7 << 3 | _FIXED64)) for kind in SpanKind}

_double: Final = struct.Struct("<d").pack
_fixed64: Final = struct.Struct("<Q").pack
_fixed32: Final = struct.Struct("<I").pack


EncodedSpan = tuple[Scope, bytes]
"""A span that has ended, for whoever sends it, and whose it is."""


class _Resource(Protocol):
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    @property
    def schema_url(self) -> str: ...


class Export:
    """One `ExportTraceServiceRequest`, put together span by span.

    Args:
        resource: As `encode_resource` returns it.
        scope_of: Returns a scope as `encode_scope` does; it may remember.

    Attributes:
        size: Bytes of its spans.
    """

    __slots__ = ("_group", "_groups", "_resource", "_scope", "_scope_of", "size")

    def __init__(self, resource: bytes, scope_of: Callable[[Scope], bytes]) -> None:
        self._resource = resource
        self._scope_of = scope_of
        self._groups: dict[Scope, list[bytes]] = {}
        self._scope: Scope | None = None
        self._group: list[bytes] = []
        self.size = 0

    def add(self, span: EncodedSpan, most: int) -> bool:
        """Add a span, unless there are others and it would be too much with them."""
        scope, data = span
        if self.size and self.size + len(data) > most:
            return False
        if scope is not self._scope:
            # To look it up takes as long as all else here, and mostly it is the one before.
            self._scope, self._group = scope, self._groups.setdefault(scope, [])
        self._group.append(data)
        self.size += len(data)
        return True

    def finish(self) -> bytes:
        """Return the request."""
        parts = [self._resource]
        for scope, spans in self._groups.items():
            fields = self._scope_of(scope)
            parts += (_head(2, len(fields) + sum(map(len, spans))), fields)
            parts += spans
        # In one piece at once: half a megabyte is copied, and its pages are got, once only.
        return b"".join((_head(1, sum(map(len, parts))), *parts))


def encode_resource(resource: _Resource) -> bytes:
    """Return the fields of `ResourceSpans` that tell whose spans they are."""
    out = bytearray()
    _attributes(out, b"\x0a", resource.attributes)
    return _field(1, out) + _text(3, resource.schema_url)


def encode_scope(scope: Scope) -> bytes:
    """Return the fields of `ScopeSpans` that tell which instrumentation made them."""
    out = bytearray(_text(1, scope.name) + _text(2, scope.version))
    _attributes(out, b"\x1a", dict(scope.attributes))
    return _field(1, out) + _text(3, scope.schema_url)


def packed(span: SpanRecord) -> EncodedSpan:
    """Return a span that has ended as `Export` takes it."""
    return span.scope, encode_span(span)


def encode_span(span: SpanRecord) -> bytes:
    """Return the field `spans` of `ScopeSpans` for a span that has ended."""
    context, parent = span.context, span.parent
    out = bytearray(b"\x0a\x10")
    out += context.trace_id.to_bytes(16, "big")
    out += b"\x12\x08"
    out += context.span_id.to_bytes(8, "big")
    if context.trace_state:
        out += _text(3, _state(context.trace_state))
    if parent is not None:
        out += b"\x22\x08"
        out += parent.span_id.to_bytes(8, "big")
    out += _text(5, span.name)
    out += _KINDS[span.kind]
    out += _fixed64(span.start_time & _64_BITS)
    out += b"\x41"
    out += _fixed64((span.end_time or 0) & _64_BITS)
    for part in span.recurring:
        out += part.encoded or _encoded_once(part)
    _attributes(out, _ATTRIBUTES, span.own)
    for event in span.events:
        out += _field(11, _event(event))
    for link in span.links:
        out += _field(13, _link(link))
    if span.dropped_attributes or span.dropped_events or span.dropped_links:
        out += _count(10, span.dropped_attributes)
        out += _count(12, span.dropped_events)
        out += _count(14, span.dropped_links)
    if span.status_code is not StatusCode.UNSET:
        out += _field(15, _text(2, span.status_text) + b"\x18%c" % span.status_code.value)
    out += b"\x85\x01"
    out += _fixed32(_flags(context.trace_flags, parent))
    return _field(2, out)


def _encoded_once(part: Recurring) -> bytes:
    """Return attributes as a span has them, and have them remember it."""
    out = bytearray()
    _attributes(out, _ATTRIBUTES, part)
    part.encoded = bytes(out)
    return part.encoded


def _event(event: SpanEvent) -> bytearray:
    out = bytearray(b"\x09")
    out += _fixed64(event.time & _64_BITS)
    out += _text(2, event.name)
    _attributes(out, b"\x1a", event.attributes)
    out += _count(4, event.dropped_attributes)
    return out


def _link(link: SpanLink) -> bytearray:
    context = link.context
    out = bytearray(b"\x0a\x10")
    out += context.trace_id.to_bytes(16, "big")
    out += b"\x12\x08"
    out += context.span_id.to_bytes(8, "big")
    out += _text(3, _state(context.trace_state))
    _attributes(out, b"\x22", link.attributes)
    out += _count(5, link.dropped_attributes)
    out += b"\x35"
    out += _fixed32(_flags(context.trace_flags, context))
    return out


def _flags(flags: int, remote: SpanContext | None) -> int:
    """Return W3C's flags, and whether the context that the span or link refers to came to us."""
    known = flags & _FLAGS | _HAS_IS_REMOTE
    return known | _IS_REMOTE if remote is not None and remote.is_remote else known


def _state(state: TraceState) -> str:
    return ",".join([f"{key}={value}" for key, value in state.items()])


def _attributes(out: bytearray, tag: bytes, attributes: Mapping[str, Any]) -> None:
    """Write repeated `KeyValue`s of a field whose tag is given."""
    for key, value in attributes.items():
        name = NAMES.get(key) or _name(key)
        kind = value.__class__
        if kind is str:
            written = name.texts.get(value) or name.text(value)
        elif kind is int:
            written = name.numbers.get(value) or name.number(value)
        elif kind is bool:
            written = name.yes if value else name.no
        elif kind is float:
            written = name.double + _double(value)
        elif kind is tuple:
            written = name.list(value)
        else:
            written = name.entry(_value(value))
        out += tag
        out += written


class _Name:
    """A name of attributes, and what is the same under it each time.

    That is the beginning of its entries, by the size of the value, and the whole entries of some
    short values: many come again. Without them an attribute costs three times as much.
    """

    __slots__ = ("double", "field", "heads", "lists", "no", "numbers", "text_heads", "texts", "yes")

    def __init__(self, key: str) -> None:
        self.field = _field(1, key.encode("utf-8", "replace"))
        self.heads: dict[int, bytes] = {}
        self.text_heads: dict[int, bytes] = {}
        self.texts: dict[str, bytes] = {}
        self.numbers: dict[int, bytes] = {}
        self.lists: dict[tuple[Any, ...], bytes] = {}
        self.yes, self.no = self.entry(_value(True)), self.entry(_value(False))
        self.double = self.entry(_value(0.0))[:-8]

    def entry(self, value: bytes) -> bytes:
        """Return a `KeyValue`, with its length before it."""
        size = len(value)
        if (head := self.heads.get(size)) is None:
            length = _varint(size)
            whole = _varint(len(self.field) + 1 + len(length) + size)
            head = b"%b%b\x12%b" % (whole, self.field, length)
            if size <= _LONGEST_TEXT:
                self.heads[size] = head
        return head + value

    def text(self, value: str) -> bytes:
        """Return the same for a text, and remember it if there is room."""
        data = value.encode("utf-8", "replace")
        size = len(data)
        if (head := self.text_heads.get(size)) is None:
            head = self.entry(_field(1, data)).removesuffix(data)
            if size <= _LONGEST_TEXT:
                self.text_heads[size] = head
        written = head + data
        if len(self.texts) < _MOST_VALUES and len(value) <= _LONGEST_TEXT:
            self.texts[value] = written
        return written

    def number(self, value: int) -> bytes:
        """Return the same for a whole number, and remember it if there is room."""
        written = self.entry(_whole(value))
        if len(self.numbers) < _MOST_VALUES:
            self.numbers[value] = written
        return written

    def list(self, values: tuple[Any, ...]) -> bytes:
        """Return the same for several values, and remember it if they are texts and few."""
        for value in values:
            # What is equal is not always the same, and some is not hashable: 1, 1.0, a mapping.
            if value.__class__ is not str:
                return self.entry(_other(values))
        if (written := self.lists.get(values)) is None:
            written = self.entry(_other(values))
            if len(self.lists) < _MOST_VALUES and len(written) <= _LONGEST_LIST:
                self.lists[values] = written
        return written


NAMES: Final[dict[str, _Name]] = {}
"""The names met so far: they are ours, and few."""


def _name(key: str) -> _Name:
    name = _Name(key)
    if len(NAMES) < _MOST_NAMES:
        NAMES[key] = name
    return name


def _value(value: Any) -> bytes:
    """Return an `AnyValue`."""
    kind = value.__class__
    if kind is str:
        return _field(1, value.encode("utf-8", "replace"))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        return _whole(value)
    if kind is float:
        return b"\x21" + _double(value)
    return _other(value)


def _whole(value: int) -> bytes:
    if _LEAST_INT <= value <= _MOST_INT:
        return b"\x18" + _varint(value & _64_BITS)
    # There is no field for it, and the rest of the export is not to be lost for that.
    return _value(str(value))


def _other(value: Any) -> bytes:
    """Return the `AnyValue` of what is rare."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return _field(7, value)
    if isinstance(value, Mapping):
        out = bytearray()
        _attributes(out, b"\x0a", cast("Mapping[str, Any]", value))
        return _field(6, out)
    if isinstance(value, tuple):
        items = cast("Sequence[Any]", value)
        return _field(5, b"".join([_field(1, _value(item)) for item in items]))
    # A subclass of a plain type, such as an enumeration's member.
    if isinstance(value, str):
        return _value(str.__str__(value))
    return _value(int(value) if isinstance(value, int) else float(value))


def _text(number: int, text: str | None) -> bytes:
    return _field(number, text.encode("utf-8", "replace")) if text else b""


def _count(number: int, count: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(count) if count else b""


def _head(number: int, size: int) -> bytes:
    """Return what stands before a field's content."""
    return b"%c%b" % (number << 3 | _BYTES, _varint(size))


def _field(number: int, content: bytes | bytearray) -> bytes:
    size = len(content)
    if size < 128:
        return b"%c%c%b" % (number << 3 | _BYTES, size, content)
    return b"%c%b%b" % (number << 3 | _BYTES, _varint(size), content)


_SMALL: Final = tuple(bytes((value,)) for value in range(128))


def _varint(value: int) -> bytes:
    """Return a number as groups of seven bits, the lowest first."""
    if value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
