# SPDX-License-Identifier: EUPL-1.2

"""Column types that every database stores the same way."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

E = TypeVar("E", bound=StrEnum)

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit key; on SQLite the type must be INTEGER for the key to be the row id."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as whole microseconds since 1970 in UTC; a naive one is refused."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Turn a moment into microseconds."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the store takes no datetime without a time zone: {value!r}")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn microseconds into a moment in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class InlineOctets(TypeDecorator[bytes]):
    """The octets of a payload, of which nothing is left in the file of the database once they are removed.

    SQLite (secure_delete) overwrites what is deleted where it is, but leaves copies behind in the unused part of a page
    from which rows were moved to another. Only the first page of a row can be moved so, and it holds less than a page;
    so a page of zeros goes first, and what matters lies in overflow pages, which are overwritten when they are let go.
    """

    impl = LargeBinary
    cache_ok = True

    _ZEROS: Final = bytes(4096)
    """As long as a page of the database at the least."""

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Put the zeros before the octets, on SQLite."""
        return value if value is None or dialect.name != "sqlite" else self._ZEROS + value

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Take the zeros away."""
        return value if value is None or dialect.name != "sqlite" else bytes(value).removeprefix(self._ZEROS)


class Named(TypeDecorator[E], Generic[E]):
    """A member of a StrEnum, stored by its value as text."""

    impl = Text
    cache_ok = True

    def __init__(self, names: type[E]):
        super().__init__()
        self.names = names

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Turn a member into its text; text that is no member is refused."""
        return None if value is None else str(self.names(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:  # noqa: ARG002
        """Turn text into its member."""
        return None if value is None else self.names(value)
